// metrics.counter, .gauge, .histogram: finds the series that a name and its labels are, and hands its number
// and the value to the host. The host sees texts once a series.

#include <math.h>

#include "internal.h"

enum {
    SERIES = 1000,        // of an interpreter; the host has the same bound for a plugin
    SLOTS_OF_SERIES = 2048,
    LABELS = 8,
    NAME_BYTES = 128,     // of a metric, of a label and of its value
    // kind, name, and for each label: two lengths and two texts
    IDENTITY_BYTES = 2 + NAME_BYTES + LABELS * (2 + 2 * NAME_BYTES),
};

struct LGSeries {
    uint32_t count;
    struct { uint64_t hash, id; } slots[SLOTS_OF_SERIES];  // id 0: free
};

typedef struct {
    LGBytes name, value;
} Label;

// [a-zA-Z_][a-zA-Z0-9_]*, as Prometheus has it; without its colons, which are for recording rules.
static bool is_name(LGBytes text) {
    if (text.count == 0 || text.count > NAME_BYTES) return false;
    for (size_t i = 0; i < text.count; i++) {
        uint8_t c = text.bytes[i], letter = c | 32;
        bool digit = c >= '0' && c <= '9';
        if (!((letter >= 'a' && letter <= 'z') || c == '_' || (digit && i > 0))) return false;
    }
    return true;
}

static LGBytes text_at(lua_State *L, int index) {
    size_t count;
    const char *text = lua_tolstring(L, index, &count);
    return lg_bytes(text, count);
}

static int compare(LGBytes a, LGBytes b) {
    int order = memcmp(a.bytes, b.bytes, a.count < b.count ? a.count : b.count);
    return order ? order : (a.count > b.count) - (a.count < b.count);
}

// In the order of their names: a table has none.
static int read_labels(lua_State *L, int index, Label *labels) {
    int count = 0;
    if (lua_isnoneornil(L, index)) return 0;
    luaL_checktype(L, index, LUA_TTABLE);
    lg_settle(L, index);
    lua_pushnil(L);
    while (lua_next(L, index)) {
        if (count == LABELS) luaL_argerror(L, index, "a metric has at most 8 labels");
        if (lua_type(L, -2) != LUA_TSTRING || !is_name(text_at(L, -2))) {
            luaL_argerror(L, index, "a label's name must be letters, digits and _, at most 128");
        }
        Label label = {.name = text_at(L, -2)};
        if (lua_type(L, -1) != LUA_TSTRING || lua_rawlen(L, -1) > NAME_BYTES) {
            luaL_argerror(L, index, lua_pushfstring(L, "label '%s' must be a string of at most 128 bytes",
                                                    (const char *)label.name.bytes));
        }
        label.value = text_at(L, -1);  // the table holds it
        int at = count++;
        for (; at > 0 && compare(labels[at - 1].name, label.name) > 0; at--) labels[at] = labels[at - 1];
        labels[at] = label;
        lua_pop(L, 1);
    }
    return count;
}

static size_t put(uint8_t *out, LGBytes text) {
    out[0] = (uint8_t)text.count;
    memcpy(out + 1, text.bytes, text.count);
    return 1 + text.count;
}

// Field table content: strings only.
static size_t put_labels(const Label *labels, int count, uint8_t *out) {
    uint8_t *at = out;
    for (int i = 0; i < count; i++) {
        at += put(at, labels[i].name);
        uint8_t head[5] = {'S', 0, 0, 0, (uint8_t)labels[i].value.count};
        memcpy(at, head, sizeof head);
        memcpy(at + sizeof head, labels[i].value.bytes, labels[i].value.count);
        at += sizeof head + labels[i].value.count;
    }
    return (size_t)(at - out);
}

// The host's number for it; 0 when there are too many.
static uint64_t find_series(lua_State *L, LGMetric kind, LGBytes name, const Label *labels, int count) {
    LuaGuard *guard = lg_of(L);
    uint8_t identity[IDENTITY_BYTES];
    size_t size = 1;
    identity[0] = (uint8_t)kind;
    size += put(identity + size, name);
    for (int i = 0; i < count; i++) {
        size += put(identity + size, labels[i].name);
        size += put(identity + size, labels[i].value);
    }
    if (!guard->series) guard->series = calloc(1, sizeof *guard->series);
    if (!guard->series) luaL_error(L, "not enough memory");
    uint64_t hash = lg_xxh64(identity, size, guard->limits.seed);
    size_t at = hash % SLOTS_OF_SERIES;
    for (; guard->series->slots[at].id; at = (at + 1) % SLOTS_OF_SERIES) {
        if (guard->series->slots[at].hash == hash) return guard->series->slots[at].id;
    }
    if (guard->series->count == SERIES || !guard->host.metric_series) return 0;
    uint8_t content[LABELS * (6 + 2 * NAME_BYTES)];
    size = put_labels(labels, count, content);
    lg_spend(L, 200);
    uint64_t id = guard->host.metric_series(guard->host.context, kind, name, lg_bytes(content, size));
    if (!id) return 0;
    guard->series->slots[at].hash = hash;
    guard->series->slots[at].id = id;
    guard->series->count++;
    return id;
}

static int record(lua_State *L, LGMetric kind) {
    Label labels[LABELS];
    LuaGuard *guard = lg_of(L);
    if (lua_type(L, 1) != LUA_TSTRING) luaL_typeerror(L, 1, "string");
    LGBytes name = text_at(L, 1);
    luaL_argcheck(L, is_name(name), 1, "a metric's name must be letters, digits and _, at most 128");
    double value = 1;
    if (kind != LG_COUNTER || !lua_isnoneornil(L, 2)) {
        if (lua_type(L, 2) != LUA_TNUMBER) luaL_typeerror(L, 2, "number");
        value = lua_tonumber(L, 2);
    }
    luaL_argcheck(L, isfinite(value), 2, "a metric's value must be finite");
    luaL_argcheck(L, kind != LG_COUNTER || value >= 0, 2, "a counter only goes up");
    int count = read_labels(L, 3, labels);
    lg_spend(L, 8 + (uint64_t)count * 4);
    uint64_t series = guard->dry ? 0 : find_series(L, kind, name, labels, count);
    if (series && guard->host.metric_add) guard->host.metric_add(guard->host.context, series, value);
    lua_pushboolean(L, guard->dry || series != 0);
    return 1;
}

static int metrics_counter(lua_State *L) { return record(L, LG_COUNTER); }
static int metrics_gauge(lua_State *L) { return record(L, LG_GAUGE); }
static int metrics_histogram(lua_State *L) { return record(L, LG_HISTOGRAM); }

void lg_open_metrics(lua_State *L) {
    static const luaL_Reg functions[] = {{"counter", metrics_counter}, {"gauge", metrics_gauge},
                                         {"histogram", metrics_histogram}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setglobal(L, "metrics");
}
