/* A keyword gets an underscore behind it, whichever language it is from. */

#include <stdlib.h>

#include "keywords_later.pb-c.h"
#include "use.h"

int
main(void)
{
    KeywordsLater__Later later = KEYWORDS_LATER__LATER__INIT;
    KeywordsLater__Concepts concepts = KEYWORDS_LATER__CONCEPTS__INIT;

    later.restrict_ = 1;
    later.export_ = 2;
    later.alignas_ = later.alignof_ = later.char16_t_ = later.char32_t_ = 3;
    later.constexpr_ = later.decltype_ = later.noexcept_ = later.nullptr_ = 4;
    later.static_assert_ = later.thread_local_ = later.typeof_ = 5;
    later.inline_case = KEYWORDS_LATER__LATER__INLINE_CO_AWAIT;
    later.co_await_ = 1;
    concepts.char8_t_ = concepts.concept_ = concepts.consteval_ = 6;
    concepts.co_return_ = concepts.co_yield_ = concepts.requires_ = 7;
    EXPECT(keywords_later__later__get_packed_size(&later) == 2 * 13 + 3);
    EXPECT(keywords_later__concepts__get_packed_size(&concepts) == 2 * 6);
    return EXIT_SUCCESS;
}
