/* The core itself: start and end, the one completion queue, tags, and the small
 * conversions that clients and servers share.
 *
 * There is one queue for the process; one thread at a time takes from it
 * (lead.c).  To make that thread return, a batch of no operations is started on
 * a call that exists for nothing else: the core puts its tag into the queue at
 * once.  One such kick is under way at most.
 *
 * Beside the queue there is a list of tags that were posted.  Whoever posts looks
 * whether a thread waits in the queue afterwards, and who is about to wait looks at the
 * list afterwards.  Both use sequentially consistent atomics, so one of them sees the
 * other. */

#include "runtime/grpc_common.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <grpc/byte_buffer_reader.h>
#include <grpc/grpc_security.h>
#include <grpc/support/time.h>

#include "runtime/clock.h"
#include "runtime/inflate.h"
#include "runtime/metadata.h"

#if defined(__SANITIZE_THREAD__)
#define SEES_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEES_THREADS 1
#endif
#endif

#define MAX_STREAK 32

#ifdef SEES_THREADS
void
__tsan_acquire(void *address);
void
__tsan_release(void *address);
#endif

static struct {
    grpc_completion_queue *queue;
    grpc_completion_queue *quiet; /* nothing ever completes here: next only polls */
    unsigned streak;              /* events in a row that were there without polling */
    grpc_channel *nowhere;
    grpc_call *kicker;
    afar__tag kick;
    atomic_bool kicked;

    pthread_mutex_t lock;
    afar__tag *posted, **last_posted; /* guarded by lock */
    atomic_bool has_posted;
    atomic_bool waits;      /* a thread is in the queue, and not only to look */
    unsigned posted_streak; /* posted ones in a row that were taken */
} core = { .lock = PTHREAD_MUTEX_INITIALIZER };

grpc_completion_queue *
afar__grpc_queue(void)
{
    return core.queue;
}

void
afar__grpc_publish(afar__tag *tag)
{
#ifdef SEES_THREADS
    __tsan_release(tag);
#else
    (void)tag;
#endif
}

void
afar__grpc_observe(afar__tag *tag)
{
#ifdef SEES_THREADS
    __tsan_acquire(tag);
#else
    (void)tag;
#endif
}

/* ---- life ---- */

static void
kick_done(afar__tag *tag, bool ok)
{
    (void)tag;
    (void)ok;
    atomic_store(&core.kicked, false);
}

/* glibc gives the top of its heap back to the system after every large free, and
 * takes it again, page by page, for the next large message: 230 page faults for each
 * echo of 1 MiB, 40 % of its time.  It stops doing so once it has seen a block of that
 * size come and go. */
static void
keep_large_blocks(void)
{
    void *volatile block = malloc((size_t)4 << 20);

    free(block);
}

void
afar__core_open(void)
{
    grpc_slice path = grpc_slice_from_static_string("/afar/kick");

    keep_large_blocks();
    grpc_init();
    core.queue = grpc_completion_queue_create_for_next(NULL);
    core.quiet = grpc_completion_queue_create_for_next(NULL);
    core.nowhere = grpc_lame_client_channel_create("nowhere", GRPC_STATUS_UNAVAILABLE, "nowhere");
    core.kicker = grpc_channel_create_call(core.nowhere, NULL, 0, core.queue, path, NULL,
                                           gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL);
    core.kick.done = kick_done;
    atomic_store(&core.kicked, false);
}

void
afar__core_close(void)
{
    afar__event event;

    grpc_call_unref(core.kicker);
    grpc_channel_destroy(core.nowhere);
    grpc_completion_queue_shutdown(core.queue);
    while (afar__core_next(AFAR__NEVER, &event))
        afar__core_dispatch(event);
    grpc_completion_queue_destroy(core.queue);
    grpc_completion_queue_shutdown(core.quiet);
    while (grpc_completion_queue_next(core.quiet, gpr_inf_future(GPR_CLOCK_MONOTONIC), NULL).type !=
           GRPC_QUEUE_SHUTDOWN)
        continue;
    grpc_completion_queue_destroy(core.quiet);
    grpc_shutdown();
}

/* ---- events ---- */

void
afar__core_post(afar__tag *tag, bool ok)
{
    afar__grpc_publish(tag);
    pthread_mutex_lock(&core.lock);
    if (!core.posted)
        core.last_posted = &core.posted;
    tag->next_posted = NULL;
    tag->posted_ok = ok;
    *core.last_posted = tag;
    core.last_posted = &tag->next_posted;
    atomic_store(&core.has_posted, true);
    pthread_mutex_unlock(&core.lock);
    if (atomic_load(&core.waits))
        afar__core_kick();
}

static bool
next_posted(afar__event *ret_event)
{
    afar__tag *tag;

    if (!atomic_load(&core.has_posted))
        return false;
    pthread_mutex_lock(&core.lock);
    tag = core.posted;
    if (tag) {
        core.posted = tag->next_posted;
        ret_event->tag = tag;
        ret_event->ok = tag->posted_ok;
    }
    atomic_store(&core.has_posted, core.posted != NULL);
    pthread_mutex_unlock(&core.lock);
    return tag != NULL;
}

/* The core does not look at its sockets while its queue has events, and a stream
 * that is sent with nobody reading can keep it filled for ever.  So after some
 * events in a row we make it look. */
static void
poll_sockets(void)
{
    if (++core.streak < MAX_STREAK)
        return;
    core.streak = 0;
    (void)grpc_completion_queue_next(core.quiet, gpr_inf_past(GPR_CLOCK_MONOTONIC), NULL);
}

static bool
next_in_queue(gpr_timespec until, afar__event *ret_event)
{
    grpc_event event;

    poll_sockets();
    event = grpc_completion_queue_next(core.queue, until, NULL);
    if (event.type != GRPC_OP_COMPLETE) {
        core.streak = 0;
        return false;
    }
    ret_event->tag = event.tag;
    ret_event->ok = event.success != 0;
    return true;
}

static bool
wait_in_queue(int64_t deadline, afar__event *ret_event)
{
    bool got = false;

    atomic_store(&core.waits, true);
    if (!atomic_load(&core.has_posted))
        got = next_in_queue(afar__grpc_deadline(deadline), ret_event);
    atomic_store(&core.waits, false);
    return got;
}

/* What was posted comes first; but it can be posted without end, so the queue has its
 * turn now and then. */
bool
afar__core_next(int64_t deadline, afar__event *ret_event)
{
    if (core.posted_streak < MAX_STREAK && next_posted(ret_event)) {
        core.posted_streak++;
        return true;
    }
    core.posted_streak = 0;
    if (deadline == 0 || atomic_load(&core.has_posted)
            ? next_in_queue(gpr_inf_past(GPR_CLOCK_MONOTONIC), ret_event)
            : wait_in_queue(deadline, ret_event))
        return true;
    return next_posted(ret_event);
}

void
afar__core_dispatch(afar__event event)
{
    afar__grpc_observe(event.tag);
    event.tag->done(event.tag, event.ok);
}

void
afar__core_kick(void)
{
    if (atomic_exchange(&core.kicked, true))
        return;
    grpc_call_start_batch(core.kicker, NULL, 0, &core.kick, NULL);
}

void
afar__grpc_start(grpc_call *call, const grpc_op *ops, size_t count, afar__tag *tag)
{
    afar__grpc_publish(tag);
    if (grpc_call_start_batch(call, ops, count, tag, NULL) != GRPC_CALL_OK)
        afar__core_post(tag, false);
}

gpr_timespec
afar__grpc_deadline(int64_t ns)
{
    gpr_timespec time;

    if (ns == AFAR__NEVER)
        return gpr_inf_future(GPR_CLOCK_MONOTONIC);
    time.tv_sec = ns / AFAR__SECOND;
    time.tv_nsec = (int32_t)(ns % AFAR__SECOND);
    time.clock_type = GPR_CLOCK_MONOTONIC;
    return time;
}

/* ---- messages ---- */

void
afar__grpc_pack(const ProtobufCMessage *message, grpc_byte_buffer *ret_buffer)
{
    grpc_slice slice = grpc_slice_malloc(protobuf_c_message_get_packed_size(message));

    protobuf_c_message_pack(message, GRPC_SLICE_START_PTR(slice));
    memset(ret_buffer, 0, sizeof *ret_buffer);
    ret_buffer->type = GRPC_BB_RAW;
    ret_buffer->data.raw.compression = GRPC_COMPRESS_NONE;
    grpc_slice_buffer_init(&ret_buffer->data.raw.slice_buffer);
    grpc_slice_buffer_add(&ret_buffer->data.raw.slice_buffer, slice);
}

void
afar__grpc_packed_clear(grpc_byte_buffer *buffer)
{
    grpc_slice_buffer_destroy(&buffer->data.raw.slice_buffer);
}

static grpc_slice
join(grpc_byte_buffer *buffer)
{
    grpc_slice_buffer *slices = &buffer->data.raw.slice_buffer;
    grpc_byte_buffer_reader reader;
    grpc_slice joined;

    if (slices->count == 1)
        return grpc_slice_ref(slices->slices[0]);
    if (!grpc_byte_buffer_reader_init(&reader, buffer))
        return grpc_empty_slice();
    joined = grpc_byte_buffer_reader_readall(&reader);
    grpc_byte_buffer_reader_destroy(&reader);
    return joined;
}

afar_code
afar__grpc_flat(grpc_byte_buffer *buffer, size_t limit, grpc_slice *ret_bytes, afar_error *err)
{
    size_t length = grpc_byte_buffer_length(buffer);
    uint8_t *data = NULL;
    grpc_slice bytes;
    afar_code code;

    if (length > limit)
        return afar_fail(err, AFAR_RESOURCE_EXHAUSTED,
                         "a message of %zu bytes, more than the %zu allowed (max_bytes)", length,
                         limit);
    bytes = join(buffer);
    if (buffer->data.raw.compression == GRPC_COMPRESS_NONE) {
        *ret_bytes = bytes;
        return AFAR_OK;
    }
    code = afar__inflate(GRPC_SLICE_START_PTR(bytes), GRPC_SLICE_LENGTH(bytes), limit, &data,
                         &length, err);
    grpc_slice_unref(bytes);
    if (!code)
        *ret_bytes = grpc_slice_new(data, length, free);
    return code;
}

/* ---- metadata ---- */

static bool
is_internal(grpc_slice key)
{
    return grpc_slice_str_cmp(key, AFAR__OBJECT_KEY) == 0 ||
           grpc_slice_str_cmp(key, AFAR__CODE_KEY) == 0 ||
           grpc_slice_str_cmp(key, AFAR__CHAIN_KEY) == 0 ||
           grpc_slice_str_cmp(key, AFAR__INSTANCE_KEY) == 0 ||
           grpc_slice_str_cmp(key, AFAR__DETAILS_KEY) == 0;
}

afar_code
afar__grpc_view(const grpc_metadata_array *received, afar__arena *arena, afar_metadata *ret_view,
                afar_error *err)
{
    afar__metadata_list list = { NULL, 0, 0 };

    for (size_t i = 0; i < received->count; i++) {
        const grpc_metadata *pair = &received->metadata[i];
        char *key;

        if (is_internal(pair->key))
            continue;
        key = afar__arena_memdup(arena, GRPC_SLICE_START_PTR(pair->key),
                                 GRPC_SLICE_LENGTH(pair->key));
        if (!key)
            return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory for metadata");
        afar_code code = afar__metadata_add(&list, arena, key, GRPC_SLICE_START_PTR(pair->value),
                                            GRPC_SLICE_LENGTH(pair->value));
        if (code)
            return afar_fail(err, code, "no memory for metadata");
    }
    ret_view->entries = list.entries;
    ret_view->count = list.count;
    return AFAR_OK;
}

const grpc_slice *
afar__grpc_find(const grpc_metadata_array *metadata, const char *key)
{
    size_t length = strlen(key);

    for (size_t i = 0; i < metadata->count; i++) {
        const grpc_slice *found = &metadata->metadata[i].key;

        if (GRPC_SLICE_LENGTH(*found) == length &&
            memcmp(GRPC_SLICE_START_PTR(*found), key, length) == 0)
            return &metadata->metadata[i].value;
    }
    return NULL;
}

grpc_metadata
afar__grpc_pair(const char *key, const void *value, size_t length)
{
    grpc_metadata pair;

    memset(&pair, 0, sizeof pair);
    pair.key = grpc_slice_from_copied_string(key);
    pair.value = grpc_slice_from_copied_buffer(value, length);
    return pair;
}

void
afar__grpc_instance(const uint8_t instance[16], char digits[AFAR__INSTANCE_DIGITS])
{
    for (size_t i = 0; i < 16; i++) {
        digits[2 * i] = "0123456789abcdef"[instance[i] >> 4];
        digits[2 * i + 1] = "0123456789abcdef"[instance[i] & 15];
    }
}
