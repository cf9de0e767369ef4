/* Names in C.
 *
 * The rules for messages are protobuf-c's, read off what its compiler writes,
 * with its list of words to avoid; the list here is longer, for a name that
 * protobuf-c lets through and that then does not compile is of no use to anyone.
 * Characters are ASCII, whatever the locale: protobuf allows no others in names.
 * Values only; any thread. */

#include "idl/cname.h"

#include <string.h>

/* Lists of names: each stands between two spaces. */

/* Every keyword of C and C++ that a lower-case name can meet, and the macros
 * that a compiler or the headers everyone includes define in lower case. */
static const char reserved_members[] =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char char16_t"
    " char32_t char8_t class co_await co_return co_yield compl concept const const_cast consteval"
    " constexpr constinit continue decltype default delete do double dynamic_cast else enum errno"
    " explicit export extern false float for friend goto i386 if inline int linux long mutable"
    " namespace new noexcept not not_eq nullptr operator or or_eq private protected public"
    " register reinterpret_cast requires restrict return short signed sizeof static static_assert"
    " static_cast stderr stdin stdout struct switch template this thread_local throw true try"
    " typedef typeid typename typeof typeof_unqual union unix unsigned using virtual void"
    " volatile wchar_t while xor xor_eq ";

/* What the generated code itself puts behind the name of a service, and the
 * verbs that the library uses; a method of that name steps aside. */
static const char reserved_methods[] =
    " await close export finish interface method methods new object open receive send share start"
    " stream ";

/* Names of parameters and variables in the generated functions: a service
 * without a package may have such a name, and its type would be hidden. */
static const char reserved_stub_types[] =
    " arguments call client code deadline detail err format future index message methods name"
    " object options reply request ret_future ret_message ret_object ret_reply ret_stream room"
    " self stream table ";

/* A message without a package may be called as a macro or a type of C. */
static const char reserved_types[] = " BUFSIZ DIR EOF FILE I INFINITY NAN NDEBUG NULL ";

static bool
is_among(const char *name, const char *names)
{
    size_t length = strlen(name);

    for (const char *found = names; length && (found = strstr(found, name)); found += length)
        if (found[-1] == ' ' && found[length] == ' ')
            return true;
    return false;
}

static bool
is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static bool
is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool
is_alphanumeric(char c)
{
    return is_upper(c) || (c >= 'a' && c <= 'z') || is_digit(c);
}

static char
to_lower(char c)
{
    return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

static char
to_upper(char c)
{
    return c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
}

static const char *
with_underscore(idl_pool *pool, const char *name)
{
    return pool_format(pool, "%s_", name);
}

const char *
cname_camel(idl_pool *pool, const char *full_name)
{
    char *name = pool_alloc(pool, 2 * strlen(full_name) + 1);
    size_t n = 0;
    bool first = true;

    for (; *full_name; full_name++) {
        if (*full_name == '.') {
            name[n++] = '_';
            name[n++] = '_';
            first = true;
        } else if (*full_name == '_') {
            first = true;
        } else {
            name[n++] = first ? to_upper(*full_name) : *full_name;
            first = false;
        }
    }
    return name;
}

const char *
cname_type(idl_pool *pool, const char *full_name)
{
    const char *name = cname_camel(pool, full_name);

    return is_among(name, reserved_types) ? with_underscore(pool, name) : name;
}

/* A word begins at each upper-case letter that follows another character; it is
 * set off by one underscore, and pieces by `between`. */
static char *
split_words(idl_pool *pool, const char *full_name, const char *between, bool single)
{
    char *name = pool_alloc(pool, 2 * strlen(full_name) + 1);
    size_t n = 0;
    char before = '.';

    for (; *full_name; before = *full_name++) {
        bool starts = is_upper(*full_name) && !is_upper(before) && before != '.';

        if (*full_name == '.') {
            memcpy(name + n, between, strlen(between));
            n += strlen(between);
            continue;
        }
        if (starts && !(single && before == '_'))
            name[n++] = '_';
        if (!(single && *full_name == '_' && n && name[n - 1] == '_'))
            name[n++] = to_lower(*full_name);
    }
    return name;
}

const char *
cname_lower(idl_pool *pool, const char *full_name)
{
    return split_words(pool, full_name, "__", false);
}

const char *
cname_upper(idl_pool *pool, const char *full_name)
{
    char *name = split_words(pool, full_name, "__", false);

    for (char *c = name; *c; c++)
        *c = to_upper(*c);
    return name;
}

const char *
cname_stub(idl_pool *pool, const char *full_name)
{
    return split_words(pool, full_name, "_", true);
}

const char *
cname_stub_type(idl_pool *pool, const char *full_name)
{
    const char *name = cname_stub(pool, full_name);

    return is_among(name, reserved_members) || is_among(name, reserved_stub_types)
               ? with_underscore(pool, name)
               : name;
}

const char *
cname_field(idl_pool *pool, const char *name)
{
    char *member = pool_copy(pool, name, strlen(name));

    for (char *c = member; *c; c++)
        *c = to_lower(*c);
    return is_among(member, reserved_members) ? with_underscore(pool, member) : member;
}

const char *
cname_method(idl_pool *pool, const char *name)
{
    const char *member = cname_stub(pool, name);

    return is_among(member, reserved_members) || is_among(member, reserved_methods)
               ? with_underscore(pool, member)
               : member;
}

const char *
cname_file(idl_pool *pool, const char *path)
{
    char *name = pool_copy(pool, path, strlen(path));

    for (char *c = name; *c; c++)
        if (!is_alphanumeric(*c))
            *c = '_';
    return name;
}

const char *
cname_guard(idl_pool *pool, const char *path)
{
    static const char digits[] = "0123456789abcdef";
    char *name = pool_alloc(pool, 3 * strlen(path) + 1);
    size_t n = 0;

    for (; *path; path++) {
        if (is_alphanumeric(*path)) {
            name[n++] = *path;
        } else {
            name[n++] = '_';
            name[n++] = digits[(unsigned char)*path >> 4];
            name[n++] = digits[(unsigned char)*path & 15];
        }
    }
    return name;
}

const char *
cname_stub_guard(idl_pool *pool, const char *path)
{
    char *guard = pool_format(pool, "AFAR_%s_INCLUDED", cname_file(pool, path));

    for (char *c = guard; *c; c++)
        *c = to_upper(*c);
    return guard;
}

const char *
cname_stem(idl_pool *pool, const char *path)
{
    static const char *const endings[] = { ".protodevel", ".proto", NULL };
    size_t length = strlen(path);

    for (const char *const *ending = endings; *ending; ending++) {
        size_t n = strlen(*ending);

        if (length >= n && !strcmp(path + length - n, *ending))
            return pool_copy(pool, path, length - n);
    }
    return path;
}

bool
cname_is_valid(const char *name)
{
    if (!*name || is_digit(*name))
        return false;
    for (; *name; name++)
        if (!is_alphanumeric(*name) && *name != '_')
            return false;
    return true;
}

bool
cname_is_reserved(const char *name)
{
    return is_among(name, reserved_members);
}
