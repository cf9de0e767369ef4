#include "away.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *const places[4] = { "127.0.0.1:0", "unix:", "inproc:csp", NULL };

char *
away_name(const struct away *away, const char *name, char text[300])
{
    const char *address = afar_server_address(away->server);
    bool is_tcp = strncmp(address, "unix:", 5) != 0 && strncmp(address, "inproc:", 7) != 0;

    snprintf(text, 300, "%s%s/%s", is_tcp ? "afar://" : "", address, name);
    return text;
}

void
away_open(struct away *away, const char *place, unsigned capacity)
{
    afar_error err = AFAR_ERROR_INIT;
    char path[200], text[300];

    memset(away, 0, sizeof *away);
    snprintf(path, sizeof path, "%s", place);
    if (strcmp(place, "unix:") == 0)
        snprintf(path, sizeof path, "unix:%s/socket", check_folder());
    away->home = make_channel(capacity);
    CHECK_OK(afar_server_open(NULL, path, NULL, &away->server, &err));
    CHECK_OK(
        afar_server_export(away->server, "send", csp_item_sender_object(away->home.sender), &err));
    CHECK_OK(afar_server_export(away->server, "receive",
                                csp_item_receiver_object(away->home.receiver), &err));
    CHECK_OK(afar_server_start(away->server, &err));
    CHECK_OK(afar_client_open(NULL, NULL, &away->client, &err));
    CHECK_OK(csp_item_sender_open(away->client, away_name(away, "send", text), soon(),
                                  &away->far.sender, &err));
    CHECK_OK(csp_item_receiver_open(away->client, away_name(away, "receive", text), soon(),
                                    &away->far.receiver, &err));
}

void
away_close(struct away *away)
{
    close_ends(away->far);
    close_ends(away->home);
    afar_client_close(away->client);
    afar_server_close(away->server);
}
