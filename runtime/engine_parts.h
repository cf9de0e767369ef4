#ifndef AFAR_RUNTIME_ENGINE_PARTS_H
#define AFAR_RUNTIME_ENGINE_PARTS_H

/* What the parts of the engine, engine.c, wait.c and aside.c, need of each other. */

#include <pthread.h>
#include <stdbool.h>

#include "runtime/lead.h"

/* Of library threads; the last one is kept from waiting. */
#define AFAR__MAX_THREADS 256

/* ---- of aside.c ---- */

/* Makes a thread with all signals blocked: they are the program's.  0, or an error number. */
int
afar__thread_make(pthread_t *ret_id, void *(*fn)(void *arg), void *arg);

/* ---- of wait.c ---- */

/* Sends a parked caller to look at the role; false if there is none. */
bool
afar__wake_parked(void);

/* How long a role that a caller left vacant is not taken: as long as callers are likely to come
 * back. */
int64_t
afar__callers_patience(void);

/* ---- of engine.c ---- */

/* This thread, as a leader. */
afar__leader
afar__engine_self(void);

/* The role stands open: a parked caller or an idle thread must look. */
void
afar__engine_lead_opened(void);

/* Whether a library thread has the role and sleeps in the core. */
bool
afar__engine_lead_sleeps(void);

/* A caller waits; a library thread that has the role lets go of it. */
void
afar__engine_ask_for_lead(void);

/* A caller has the role. */
void
afar__engine_lead_taken(void);

/* Before and after a wait: a library thread that waits in user code is replaced, and
 * what it kept for later goes to the others.  False if no thread would be left. */
bool
afar__engine_block(void);

void
afar__engine_unblock(void);

#endif
