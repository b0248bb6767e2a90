/* home.c - which values live inside others. */
#include "graph/graph.h"

ValueId value_home(const Graph *g, ValueId v, int64_t *element_offset)
{
    int64_t offset = 0;
    for (ValueId base; (base = value_get(g, v)->base) != 0; v = base)
        offset += value_get(g, v)->base_offset;
    if (element_offset)
        *element_offset = offset;
    return v;
}

bool value_is_placed(const Graph *g, ValueId in, ValueId out, int64_t element_offset)
{
    int64_t from, to;
    return value_home(g, in, &from) == value_home(g, out, &to) && from == to + element_offset;
}

bool value_in_arena(const Graph *g, ValueId v)
{
    const Value *home = value_get(g, value_home(g, v, NULL));
    return !home->constant && !home->is_input && !home->is_output;
}
