/* Macros of foreign headers that cppcheck does not read, in a shape that it understands. */
#define HASH_ITER(hh, head, el, tmp)                                                               \
    for ((el) = (head), (tmp) = after(el); (el); (el) = (tmp), (tmp) = after(el))
#define HASH_FIND(hh, head, key, size, out) ((out) = find_in(head, key, size))
#define HASH_ADD(hh, head, field, size, add) add_to(&(head), add)
#define HASH_ADD_KEYPTR(hh, head, key, size, add) add_to(&(head), add)
#define HASH_DEL(head, el) remove_from(&(head), el)
#define LIBBPF_OPTS(type, name, ...) struct type name = {__VA_ARGS__}
#define bpf_object__for_each_map(map, object) for ((map) = first(object); (map); (map) = next(map))
#define json_object_foreach(object, key, value) while (step(object, &(key), &(value)))
#define json_array_foreach(list, i, v) while (step(list, &(i), &(v)))
