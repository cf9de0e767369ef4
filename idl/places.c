/* Positions and comments by path: protoc's list of locations, sorted by path
 * and searched.  Of several locations with one path the first counts.  One
 * thread. */

#include "idl/places.h"

#include <stdlib.h>
#include <string.h>

typedef Google__Protobuf__SourceCodeInfo__Location idl_location;

struct idl_places {
    const idl_location **sorted;
    size_t count;
};

static int
compare_paths(const int32_t *a, size_t a_count, const int32_t *b, size_t b_count)
{
    for (size_t i = 0; i < a_count && i < b_count; i++)
        if (a[i] != b[i])
            return a[i] < b[i] ? -1 : 1;
    return a_count == b_count ? 0 : a_count < b_count ? -1 : 1;
}

static int
compare_locations(const void *a, const void *b)
{
    const idl_location *x = *(const idl_location *const *)a;
    const idl_location *y = *(const idl_location *const *)b;
    int order = compare_paths(x->path, x->n_path, y->path, y->n_path);

    if (order || x->n_span < 3 || y->n_span < 3)
        return order;
    return compare_paths(x->span, 2, y->span, 2);
}

idl_places *
places_new(idl_pool *pool, const Google__Protobuf__SourceCodeInfo *info)
{
    idl_places *places = pool_alloc(pool, sizeof *places);

    if (!info || !info->n_location)
        return places;
    places->count = info->n_location;
    places->sorted = pool_array(pool, places->count, sizeof *places->sorted);
    memcpy(places->sorted, info->location, places->count * sizeof *places->sorted);
    qsort(places->sorted, places->count, sizeof *places->sorted, compare_locations);
    return places;
}

idl_path
path_step(const idl_path *parent, int32_t number)
{
    idl_path path = *parent;

    if (path.count == PATH_MOST)
        die("the request is nested too deeply");
    path.steps[path.count++] = number;
    return path;
}

idl_path
path_item(const idl_path *parent, int32_t number, size_t index)
{
    idl_path path = path_step(parent, number);

    return path_step(&path, (int32_t)index);
}

static const idl_location *
find(const idl_places *places, const idl_path *path)
{
    size_t low = 0;
    size_t high = places->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const idl_location *location = places->sorted[middle];

        if (compare_paths(location->path, location->n_path, path->steps, path->count) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == places->count)
        return NULL;
    const idl_location *location = places->sorted[low];
    return compare_paths(location->path, location->n_path, path->steps, path->count) ? NULL
                                                                                     : location;
}

idl_position
places_position(const idl_places *places, const idl_path *path)
{
    const idl_location *location = find(places, path);
    idl_position position = { 0, 0 };

    if (location && location->n_span >= 3 && location->span[0] < INT32_MAX &&
        location->span[1] < INT32_MAX) {
        position.line = location->span[0] + 1;
        position.column = location->span[1] + 1;
    }
    return position;
}

idl_position
places_part(const idl_places *places, const idl_path *path, int32_t number)
{
    idl_path part = path_step(path, number);
    idl_position position = places_position(places, &part);

    return position.line ? position : places_position(places, path);
}

idl_position
places_name(const idl_places *places, const idl_path *path)
{
    return places_part(places, path, 1);
}

idl_comments
places_comments(const idl_places *places, const idl_path *path)
{
    const idl_location *location = find(places, path);
    idl_comments comments = { NULL, NULL };

    if (location) {
        comments.leading = location->leading_comments;
        comments.trailing = location->trailing_comments;
    }
    return comments;
}
