#ifndef FAKE_H
#define FAKE_H

/* A name server that says what it is told to, and an ordinary server to be found.  What
 * fails here ends the test. */

#include <pthread.h>
#include <stdatomic.h>

#include <afar/client.h>
#include <afar/key.h>
#include <afar/names.afar.h>
#include <afar/server.h>

#include "check.h"
#include "runtime/record.h"
#include "thing.afar.h"

/* A folder for this test's keys and files, named by AFAR_HOME; removed when the process
 * ends.  Before anything else, and once. */
const char *
fake_home(void);

/* A key of the test, made when it is first asked for: number 0 to 9. */
const afar_key *
fake_key(int number);

/* More than anything here takes. */
afar_deadline
soon(void);

/* ---- the name server ---- */

struct fake_answer {
    const char *name;
    afar__signed *record; /* NULL: nothing was signed */
    uint32_t left_ms;
};

struct fake {
    afar_server *server;
    char address[128];
    atomic_int lookups;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    bool held;      /* answers wait */
    afar_code code; /* what it answers, unless that is AFAR_OK */
    struct fake_answer answers[300];
    int count;
};

/* Starts at a free port, or where it was before. */
void
fake_open(struct fake *fake);
void
fake_stop(struct fake *fake);
void
fake_start_again(struct fake *fake);
void
fake_close(struct fake *fake);

/* It answers with that code from now on; AFAR_OK: as it is told below. */
void
fake_fail(struct fake *fake, afar_code code);

/* Answers wait until they are let go. */
void
fake_hold(struct fake *fake, bool held);

/* A record to begin with: of that name, at that endpoint (NULL: none yet), generation 1. */
struct fake_record {
    afar__record record;
    char *endpoints[10];
    const afar_key *key;
    uint32_t left_ms;
};

void
fake_record_init(struct fake_record *record, const char *name, const char *endpoint);

/* What it answers from now on when `name` is looked up. */
void
fake_put(struct fake *fake, const char *name, const struct fake_record *record);
void
fake_put_signed(struct fake *fake, const char *name, afar__signed *record, uint32_t left_ms);

/* ---- a server ---- */

struct home {
    afar_node *node;
    afar_server *server;
    char endpoint[140]; /* "grpc://127.0.0.1:1234" */
};

/* Serves things "a" to "d" that answer with `number`, at `address`. */
void
home_open(struct home *home, const char *address, int64_t number);
void
home_close(struct home *home);

/* Where it is, in a record that has its instance. */
void
fake_record_at(struct fake_record *record, const char *name, const struct home *home);

/* ---- clients ---- */

/* A client of that name server; known_names as in the options. */
afar_client *
client_of(const struct fake *fake, const char *known_names);

/* Opens a name that must be there, asks it, closes it; the number that it answers. */
int64_t
number_at(afar_client *client, const char *name);

/* Opens a name that must not be there, with a message that is just this. */
void
check_refused(afar_client *client, const char *name, afar_code code, const char *message);

#endif
