/* The links of a client: what is noted of them, and which are kept. */

#include "client/links.h"

#include <string.h>

#include "fake.h"

static const uint8_t instance[AFAR__INSTANCE_BYTES] = { 1, 2, 3 };
static const uint8_t another[AFAR__INSTANCE_BYTES] = { 1, 2, 4 };

static afar__links *
open_links(void)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__links *links = NULL;
    afar_node *node = NULL;

    CHECK_OK(afar_node_open(NULL, &node, &err));
    CHECK_OK(afar__links_new(node, &links, &err));
    return links;
}

static void
close_links(afar__links *links)
{
    afar__links_shut(links);
    afar__links_unref(links);
}

static afar_code
connect_to(afar__links *links, const char *endpoint, afar__link **ret_link, afar_error *err)
{
    afar__address address;
    afar_code code = afar__address_parse_endpoint(endpoint, &address, err);

    return code ? code : afar__links_connect(links, &address, soon(), ret_link, err);
}

/* Waits until it is known that nobody is there any more. */
static void
wait_until_gone(afar__links *links, const char *endpoint)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__link *link = NULL;

    while (!connect_to(links, endpoint, &link, &err))
        afar__link_unref(link);
    CHECK_INT(err.code, AFAR_UNAVAILABLE);
    CHECK_STR(afar__links_reason(&err), "Connection refused");
    afar_error_clear(&err);
}

TEST(who_is_there_is_noted_once)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__links *links = open_links();
    afar__link *link = NULL, *same = NULL;
    struct home home;

    home_open(&home, "127.0.0.1:0", 1);
    CHECK_OK(connect_to(links, home.endpoint, &link, &err));
    CHECK(!afar__links_confirmed(links, link, instance));
    afar__links_confirm(links, link, instance);
    CHECK(afar__links_confirmed(links, link, instance));
    CHECK(!afar__links_confirmed(links, link, another));
    CHECK_OK(connect_to(links, home.endpoint, &same, &err));
    CHECK(same == link);
    afar__links_confirm(links, same, another);
    CHECK(!afar__links_confirmed(links, link, instance));
    afar__link_unref(link);
    afar__link_unref(same);
    close_links(links);
    home_close(&home);
}

/* The first link is known by its note only; it is not looked into. */
static void
check_kept(bool used, bool gone, bool kept)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__links *links = open_links();
    afar__link *link = NULL, *other = NULL;
    struct home first, second;

    home_open(&first, "127.0.0.1:0", 1);
    home_open(&second, "127.0.0.1:0", 2);
    CHECK_OK(connect_to(links, first.endpoint, &link, &err));
    afar__links_confirm(links, link, instance);
    if (!used)
        afar__link_unref(link);
    if (gone) {
        home_close(&first);
        wait_until_gone(links, first.endpoint);
    }
    CHECK(afar__links_confirmed(links, link, instance));
    CHECK_OK(connect_to(links, second.endpoint, &other, &err));
    CHECK_INT(afar__links_confirmed(links, link, instance), kept);
    if (used)
        afar__link_unref(link);
    if (!gone)
        home_close(&first);
    afar__link_unref(other);
    close_links(links);
    home_close(&second);
}

TEST(a_link_that_leads_nowhere_goes)
{
    check_kept(false, true, false);
}

TEST(a_link_that_is_used_stays)
{
    check_kept(true, true, true);
}

TEST(a_connected_link_stays)
{
    check_kept(false, false, true);
}

TEST(shut_links_give_nothing_out)
{
    afar_error err = AFAR_ERROR_INIT;
    afar__links *links = open_links();
    afar__link *link = NULL;
    struct home home;

    home_open(&home, "127.0.0.1:0", 1);
    CHECK_OK(connect_to(links, home.endpoint, &link, &err));
    afar__link_unref(link);
    afar__links_shut(links);
    CHECK_FAILS(connect_to(links, home.endpoint, &link, &err), AFAR_FAILED_PRECONDITION);
    CHECK_STR(err.message, "the client was closed");
    afar__links_unref(links);
    home_close(&home);
    afar_error_clear(&err);
}
