/* schema_test.c - docs/kiln-graph.schema.json says the same as the op table: ops, their inputs,
 * params and attributes, and which of them are required. */
#include "check.h"
#include "ops/ops.h"

#include <string.h>

static Arena *arena;

/* get - a member of a member ...; NULL where there is none. */
static const Json *get(const Json *j, const char *a, const char *b, const char *c)
{
    j = json_get(j, a);
    j = j && b ? json_get(j, b) : j;
    return j && c ? json_get(j, c) : j;
}

static bool has_string(const Json *array, const char *s)
{
    for (size_t i = 0; array && i < array->n_items; i++)
        if (array->items[i].kind == JSON_STRING && !strcmp(array->items[i].string, s))
            return true;
    return false;
}

/* same_limit - whether a bound of the schema is the integer `expected`. */
static bool same_limit(const Json *j, int64_t expected)
{
    int64_t v;
    return json_int(j, &v) && v == expected;
}

static bool inputs_agree(const Json *schema, const OpInfo *op)
{
    const Json *inputs = get(schema, "properties", "inputs", NULL);
    int         n = 0;
    bool        many = false, either = false;
    for (int i = 0; i < op->n_slots; i++) {
        n += !op->slots[i].is_param;
        many |= op->slots[i].many;
        either |= op->slots[i].either;
    }
    if (either) /* two inputs, or one and the param */
        return json_get(schema, "oneOf") && !inputs;
    if (many)
        return same_limit(json_get(inputs, "minItems"), 1) && !json_get(inputs, "maxItems");
    return same_limit(json_get(inputs, "minItems"), n) &&
           same_limit(json_get(inputs, "maxItems"), n);
}

static bool params_agree(const Json *schema, const OpInfo *op)
{
    const Json *known = get(schema, "properties", "params", "properties");
    const Json *required = get(schema, "properties", "params", "required");
    size_t      n = 0;
    bool        needs_params = false;
    for (int i = 0; i < op->n_slots; i++) {
        const Slot *slot = &op->slots[i];
        bool        needed = slot->is_param && !slot->optional;
        if (!slot->is_param && !slot->either)
            continue;
        n++;
        needs_params |= needed;
        if (!json_get(known, slot->name) || has_string(required, slot->name) != needed)
            return false;
    }
    return n == (known ? known->n_items : 0) &&
           has_string(json_get(schema, "required"), "params") == needs_params;
}

static bool attrs_agree(const Json *schema, const OpInfo *op)
{
    const Json *known = get(schema, "properties", "attrs", "properties");
    const Json *required = get(schema, "properties", "attrs", "required");
    bool        needs_attrs = false;
    for (int i = 0; i < op->n_attrs; i++) {
        const AttrSpec *spec = &op->attrs[i];
        const Json     *attr = json_get(known, spec->name);
        const Json     *fallback = json_get(attr, "default");
        needs_attrs |= spec->required;
        if (!attr || has_string(required, spec->name) != spec->required)
            return false;
        if (fallback && fallback->kind == JSON_NUMBER && fallback->number != spec->fallback)
            return false;
        if (fallback && fallback->kind == JSON_BOOL && fallback->boolean != (spec->fallback != 0))
            return false;
        const Json *choices = json_get(attr, "enum");
        for (int k = 0; spec->names && spec->names[k]; k++)
            if (!has_string(choices, spec->names[k]))
                return false;
    }
    return (size_t)op->n_attrs == (known ? known->n_items : 0) &&
           has_string(json_get(schema, "required"), "attrs") == needs_attrs;
}

/* is_applied - whether the schema of a node sends nodes of this op to the op's own schema. */
static bool is_applied(const Json *rules, const char *op)
{
    for (size_t i = 0; rules && i < rules->n_items; i++) {
        const Json *when = get(&rules->items[i], "if", "properties", "op");
        const Json *to = get(&rules->items[i], "then", "$ref", NULL);
        const Json *name = json_get(when, "const");
        if (name && name->kind == JSON_STRING && !strcmp(name->string, op))
            return to && !strcmp(to->string, arena_printf(arena, "#/$defs/ops/%s", op));
    }
    return false;
}

static void check_schema(const Json *root)
{
    const Json *defs = json_get(root, "$defs"), *node = json_get(defs, "node");
    const Json *names = get(node, "properties", "op", "enum");
    size_t      n_ops = 0;
    for (int op = OP_NONE + 1; op < N_OPS; op++) {
        const OpInfo *info = op_info((Op)op);
        if (info->flags & OPF_INTERNAL)
            continue;
        n_ops++;
        const Json *schema = get(defs, "ops", info->name, NULL);
        if (json_get(schema, "$ref"))
            schema = json_get(defs, "plain");
        bool agree = CHECK(schema != NULL) && CHECK(has_string(names, info->name));
        agree = CHECK(is_applied(json_get(node, "allOf"), info->name)) && agree;
        agree = CHECK(inputs_agree(schema, info)) && agree;
        agree = CHECK(params_agree(schema, info)) && agree;
        agree = CHECK(attrs_agree(schema, info)) && agree;
        if (!agree)
            printf("    in op %s\n", info->name);
    }
    CHECK(names && names->n_items == n_ops);
    CHECK(get(defs, "ops", NULL, NULL) && json_get(defs, "ops")->n_items == n_ops);
}

int main(void)
{
    arena = arena_new();
    Diag       *d = diag_new(arena);
    Bytes       file = {0};
    const char *path = path_beside(arena, __FILE__, "../../docs/kiln-graph.schema.json");
    if (CHECK(file_map(d, path, &file))) {
        Source      source = {path, (const char *)file.data, file.len};
        const Json *root = json_parse(arena, d, &source);
        if (CHECK(root != NULL))
            check_schema(root);
    }
    diag_print(d, stdout);
    arena_free(arena);
    return check_end();
}
