/* What a server exports.
 *
 * Hash tables under one lock for readers and writers.  Methods: by path, to the
 * method and its service; several services may have the same path, as those of the ends of
 * channels do, and then it is the name that tells which object is meant.  Objects: by service and
 * name, and by themselves.  A service is an
 * interface of which something was exported once; it stays, with its count of
 * objects, until the server goes, so its methods are answered with NOT_FOUND and
 * not with UNIMPLEMENTED when its last object has left. */

#include "server/exports.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/address.h"
#include "runtime/interface.h"
#include "runtime/misuse.h"

#define FIRST_ROOM 64

struct service {
    struct service *next;
    const afar_interface *interface;
    struct path *paths;  /* of its methods, one block */
    size_t count;        /* of its objects */
    struct export *some; /* the only one, when count is 1 */
};

struct export
{
    struct export *next;                    /* in its bucket, by name */
    struct export *next_object;             /* in its bucket, by object */
    struct export *next_same, **place_same; /* among those of its service */
    struct service *service;
    afar_object *object;
    uint64_t hash;
    char name[];
};

struct path {
    struct path *next;
    struct service *service;
    const afar_method *method;
    uint64_t hash;
};

struct afar__exports {
    pthread_rwlock_t lock; /* guards everything here */
    struct service *services;
    struct export **exports; /* by name */
    struct export **objects; /* the same, by object */
    size_t export_count, export_room;
    struct path **paths;
    size_t path_count, path_room;
};

/* FNV-1a. */
static uint64_t
hash_of(const char *text, uint64_t seed)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ seed;

    for (; *text; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return hash ^ hash >> 32;
}

static uint64_t
hash_in(const struct service *service, const char *name)
{
    return hash_of(name, (uintptr_t)service);
}

static size_t
bucket_of(const afar_object *object, size_t room)
{
    return (size_t)((uint64_t)(uintptr_t)object * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (room - 1);
}

/* ---- tables ---- */

static afar_code
no_memory(const char *name, afar_error *err)
{
    return afar_fail(err, AFAR_RESOURCE_EXHAUSTED, "no memory to export \"%s\"", name);
}

/* Into the buckets of both tables. */
static void
put(struct export **exports, struct export **objects, size_t room, struct export *export)
{
    struct export **name = &exports[export->hash & (room - 1)];
    struct export **object = &objects[bucket_of(export->object, room)];

    export->next = *name;
    *name = export;
    export->next_object = *object;
    *object = export;
}

static bool
grow_exports(afar__exports *exports)
{
    size_t room = exports->export_room * 2;
    struct export **names, **objects;

    if (exports->export_count < exports->export_room)
        return true;
    names = calloc(room, sizeof(*names));
    objects = calloc(room, sizeof(*objects));
    if (!names || !objects) {
        free(names);
        free(objects);
        return false;
    }
    for (size_t i = 0; i < exports->export_room; i++)
        while (exports->exports[i]) {
            struct export *export = exports->exports[i];

            exports->exports[i] = export->next;
            put(names, objects, room, export);
        }
    free(exports->exports);
    free(exports->objects);
    exports->exports = names;
    exports->objects = objects;
    exports->export_room = room;
    return true;
}

static bool
grow_paths(afar__exports *exports, size_t more)
{
    size_t room = exports->path_room;
    struct path **table;

    if (exports->path_count + more <= room)
        return true;
    while (room < exports->path_count + more)
        room *= 2;
    table = calloc(room, sizeof *table);
    if (!table)
        return false;
    for (size_t i = 0; i < exports->path_room; i++)
        while (exports->paths[i]) {
            struct path *path = exports->paths[i];

            exports->paths[i] = path->next;
            path->next = table[path->hash & (room - 1)];
            table[path->hash & (room - 1)] = path;
        }
    free(exports->paths);
    exports->paths = table;
    exports->path_room = room;
    return true;
}

static struct export *
find_export(const afar__exports *exports, const struct service *service, const char *name)
{
    uint64_t hash = hash_in(service, name);
    struct export *export = exports->exports[hash & (exports->export_room - 1)];

    while (export && (export->service != service || strcmp(export->name, name) != 0))
        export = export->next;
    return export;
}

/* That one, or the first behind it that is the same path. */
static const struct path *
same_path(const struct path *path, uint64_t hash, const char *text)
{
    while (path && (path->hash != hash || strcmp(path->method->path, text) != 0))
        path = path->next;
    return path;
}

static const struct path *
find_path(const afar__exports *exports, const char *text)
{
    uint64_t hash = hash_of(text, 0);

    return same_path(exports->paths[hash & (exports->path_room - 1)], hash, text);
}

/* The same path of another service; NULL: there is none left. */
static const struct path *
next_path(const struct path *path)
{
    return same_path(path->next, path->hash, path->method->path);
}

/* ---- services ---- */

static struct service *
find_service(const afar__exports *exports, const afar_interface *interface)
{
    struct service *service = exports->services;

    while (service && strcmp(service->interface->name, interface->name) != 0)
        service = service->next;
    return service;
}

static bool
add_paths(afar__exports *exports, struct service *service)
{
    const afar_interface *interface = service->interface;
    struct path *paths;

    if (interface->method_count == 0)
        return true;
    if (!grow_paths(exports, interface->method_count))
        return false;
    paths = calloc(interface->method_count, sizeof *paths);
    if (!paths)
        return false;
    service->paths = paths;
    for (unsigned i = 0; i < interface->method_count; i++) {
        struct path *path = &paths[i], **bucket;

        path->method = afar__interface_method(interface, i);
        path->service = service;
        path->hash = hash_of(path->method->path, 0);
        bucket = &exports->paths[path->hash & (exports->path_room - 1)];
        path->next = *bucket;
        *bucket = path;
        exports->path_count++;
    }
    return true;
}

static struct service *
add_service(afar__exports *exports, const afar_interface *interface)
{
    struct service *service = calloc(1, sizeof *service);

    if (!service)
        return NULL;
    service->interface = interface;
    if (!add_paths(exports, service)) {
        free(service);
        return NULL;
    }
    service->next = exports->services;
    exports->services = service;
    return service;
}

/* ---- life ---- */

afar__exports *
afar__exports_new(void)
{
    afar__exports *exports = calloc(1, sizeof *exports);

    if (!exports)
        return NULL;
    exports->exports = calloc(FIRST_ROOM, sizeof(*exports->exports));
    exports->objects = calloc(FIRST_ROOM, sizeof(*exports->objects));
    exports->paths = calloc(FIRST_ROOM, sizeof *exports->paths);
    if (!exports->exports || !exports->objects || !exports->paths) {
        free(exports->exports);
        free(exports->objects);
        free(exports->paths);
        free(exports);
        return NULL;
    }
    exports->export_room = exports->path_room = FIRST_ROOM;
    pthread_rwlock_init(&exports->lock, NULL);
    return exports;
}

void
afar__exports_free(afar__exports *exports)
{
    struct service *next;

    if (!exports)
        return;
    for (size_t i = 0; i < exports->export_room; i++)
        while (exports->exports[i]) {
            struct export *export = exports->exports[i];

            exports->exports[i] = export->next;
            afar_object_close(export->object);
            free(export);
        }
    free(exports->exports);
    free(exports->objects);
    free(exports->paths);
    for (struct service *service = exports->services; service; service = next) {
        next = service->next;
        free(service->paths);
        free(service);
    }
    pthread_rwlock_destroy(&exports->lock);
    free(exports);
}

/* ---- adding and removing ---- */

/* A service one of whose calls could not be told from this one's, since it has an object of that name and
 * the path, too; or NULL. */
static const struct service *
find_rival(const afar__exports *exports, const struct service *service, const char *name)
{
    for (unsigned i = 0; i < service->interface->method_count; i++) {
        const char *text = afar__interface_method(service->interface, i)->path;

        for (const struct path *path = find_path(exports, text); path; path = next_path(path))
            if (find_export(exports, path->service, name))
                return path->service;
    }
    return find_export(exports, service, name) ? service : NULL;
}

static afar_code
add_export(afar__exports *exports, struct service *service, const char *name, afar_object *object,
           afar_error *err)
{
    const struct service *rival = find_rival(exports, service, name);
    struct export *export;

    if (rival)
        return afar_fail(err, AFAR_ALREADY_EXISTS, "a %s is exported as \"%s\" already",
                         rival->interface->name, name);
    export = calloc(1, sizeof *export + strlen(name) + 1);
    if (!export || !grow_exports(exports)) {
        free(export);
        return no_memory(name, err);
    }
    memcpy(export->name, name, strlen(name) + 1);
    export->service = service;
    export->object = afar_object_share(object);
    export->hash = hash_in(service, name);
    put(exports->exports, exports->objects, exports->export_room, export);
    exports->export_count++;
    export->next_same = service->some;
    export->place_same = &service->some;
    if (export->next_same)
        export->next_same->place_same = &export->next_same;
    service->some = export;
    service->count++;
    return AFAR_OK;
}

afar_code
afar__exports_add(afar__exports *exports, const char *name, afar_object *object, afar_error *err)
{
    const afar_interface *interface = afar_object_interface(object);
    struct service *service;
    afar_code code;

    if (!afar__host_of(object))
        return afar_fail(err, AFAR_INVALID_ARGUMENT, "\"%s\": only a local object can be exported",
                         name);
    if (*name) {
        code = afar__name_check(name, err);
        if (code)
            return code;
    }
    pthread_rwlock_wrlock(&exports->lock);
    service = find_service(exports, interface);
    if (!service)
        service = add_service(exports, interface);
    code = service ? add_export(exports, service, name, object, err) : no_memory(name, err);
    pthread_rwlock_unlock(&exports->lock);
    return code;
}

static struct export *
unlink_export(afar__exports *exports, struct export *export)
{
    struct export **place = &exports->exports[export->hash & (exports->export_room - 1)];

    while (*place != export)
        place = &(*place)->next;
    *place = export->next;
    place = &exports->objects[bucket_of(export->object, exports->export_room)];
    while (*place != export)
        place = &(*place)->next_object;
    *place = export->next_object;
    exports->export_count--;
    *export->place_same = export->next_same;
    if (export->next_same)
        export->next_same->place_same = export->place_same;
    export->service->count--;
    return export;
}

afar_code
afar__exports_remove(afar__exports *exports, const char *name, const afar_interface *interface,
                     afar_error *err)
{
    struct service *service;
    struct export *export;

    pthread_rwlock_wrlock(&exports->lock);
    service = find_service(exports, interface);
    export = service ? find_export(exports, service, name) : NULL;
    if (export)
        unlink_export(exports, export);
    pthread_rwlock_unlock(&exports->lock);
    if (!export)
        return afar_fail(err, AFAR_NOT_FOUND, "no %s is exported as \"%s\"", interface->name, name);
    afar_object_close(export->object);
    free(export);
    return AFAR_OK;
}

/* ---- finding ---- */

/* The one that has the name. */
static struct export *
choose_named(const afar__exports *exports, const struct path **path, const char *name)
{
    for (const struct path *each = *path; each; each = next_path(each)) {
        struct export *export = find_export(exports, each->service, name);

        if (export) {
            *path = each;
            return export;
        }
    }
    return NULL;
}

/* The only one there is. */
static struct export *
choose_only(const struct path **path, size_t *ret_count)
{
    const struct path *only = *path;

    *ret_count = 0;
    for (const struct path *each = *path; each; each = next_path(each)) {
        *ret_count += each->service->count;
        if (each->service->count > 0)
            only = each;
    }
    *path = only;
    return *ret_count == 1 ? only->service->some : NULL;
}

/* Leads *path to the one of its service.  NULL and an error if there is none to choose. */
static struct export *
choose(const afar__exports *exports, const struct path **path, const char *name, afar_error *err)
{
    bool several = next_path(*path) != NULL;
    const char *what = several ? (*path)->method->path : (*path)->service->interface->name;
    struct export *export = choose_named(exports, path, name ? name : "");
    size_t count;

    if (export)
        return export;
    if (name && *name) {
        afar_fail(err, AFAR_NOT_FOUND,
                  several ? "nothing with %s is called \"%s\" here" : "no %s is called \"%s\" here",
                  what, name);
        return NULL;
    }
    export = choose_only(path, &count);
    if (!export && count == 0)
        afar_fail(err, AFAR_NOT_FOUND,
                  several ? "nothing with %s is here any more" : "no %s is here any more", what);
    else if (!export)
        afar_fail(err, AFAR_NOT_FOUND,
                  "%zu objects %s %s are here; name one in the metadata afar-object", count,
                  several ? "with" : "of", what);
    return export;
}

static afar_code
unknown(const afar__exports *exports, const char *path, afar_error *err)
{
    const char *slash = path[0] == '/' ? strchr(path + 1, '/') : NULL;

    for (struct service *service = exports->services; slash && service; service = service->next)
        if (strlen(service->interface->name) == (size_t)(slash - path - 1) &&
            strncmp(service->interface->name, path + 1, (size_t)(slash - path - 1)) == 0)
            return afar_fail(err, AFAR_UNIMPLEMENTED, "%s has no method %s",
                             service->interface->name, slash + 1);
    return afar_fail(err, AFAR_UNIMPLEMENTED, "%s is not served here", path);
}

afar_code
afar__exports_find(afar__exports *exports, const char *path, const char *name,
                   afar__target *ret_target, afar_error *err)
{
    const struct path *found;
    struct export *export = NULL;
    afar_code code = AFAR_NOT_FOUND;

    pthread_rwlock_rdlock(&exports->lock);
    found = find_path(exports, path);
    if (found)
        export = choose(exports, &found, name, err);
    else
        code = unknown(exports, path, err);
    if (export) {
        ret_target->host = afar__host_of(afar_object_share(export->object));
        ret_target->method = found->method;
        code = AFAR_OK;
    }
    pthread_rwlock_unlock(&exports->lock);
    return code;
}

bool
afar__exports_name(afar__exports *exports, const afar_object *object, char ret_name[256])
{
    bool found = false;

    pthread_rwlock_rdlock(&exports->lock);
    struct export *export = exports->objects[bucket_of(object, exports->export_room)];
    for (; export && (!found || !*ret_name); export = export->next_object)
        if (export->object == object) {
            memcpy(ret_name, export->name, strlen(export->name) + 1);
            found = true;
        }
    pthread_rwlock_unlock(&exports->lock);
    return found;
}

afar_object *
afar__exports_object(afar__exports *exports, const afar_interface *interface, const char *name)
{
    const struct service *service;
    const struct export *export;
    afar_object *object = NULL;

    pthread_rwlock_rdlock(&exports->lock);
    service = find_service(exports, interface);
    export = service ? find_export(exports, service, name) : NULL;
    if (export)
        object = afar_object_share(export->object);
    pthread_rwlock_unlock(&exports->lock);
    return object;
}
