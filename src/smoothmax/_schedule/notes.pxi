# The list of explain: the routes of the calls of this thread, from the first explain of the process on.

from smoothmax._schedule.atomics cimport exchange, load
from smoothmax._schedule.route cimport (
    AT_TARGETS, DRAFT_ROW, DRAWN_ROWS, DRAWN_TILES, EMPTY, EXACT_PRODUCT, FUSED_DIFFERENCES_TILE, FUSED_ROW, FUSED_TILE,
    GATHERED_ROW, JOINT_ROWS, NARROW, ONE_PASS_ROW, ONE_PASS_TILE, PLAIN, PRODUCT, PRODUCT_BLOCKS, PRODUCT_STACK,
    SCAN_ROW, SCAN_TILE, SEGMENTS, SINGLE_ROW, TOP_ROWS, TOP_TILES, TWO_PASS_ROW, TWO_PASS_TILE, Route, RouteName,
)

cdef extern from *:
    """
    #if defined(_MSC_VER)
    static __declspec(thread) void *smoothmax_routes;
    #else
    static __thread void *smoothmax_routes;
    #endif
    #define smoothmax_set_routes(list) (smoothmax_routes = (list))
    """
    void *routes "smoothmax_routes"             # the list in which this thread's explain collects, or NULL
    void set_routes "smoothmax_set_routes"(void *list)

cdef int explained = 0      # 1 from the first explain of the process on; until then small calls skip `routes`

NAMES = {
    SINGLE_ROW: "SINGLE_ROW", FUSED_ROW: "FUSED_ROW", JOINT_ROWS: "JOINT_ROWS",
    FUSED_DIFFERENCES_TILE: "FUSED_DIFFERENCES_TILE", FUSED_TILE: "FUSED_TILE", NARROW: "NARROW",
    ONE_PASS_ROW: "ONE_PASS_ROW", ONE_PASS_TILE: "ONE_PASS_TILE", TWO_PASS_ROW: "TWO_PASS_ROW",
    TWO_PASS_TILE: "TWO_PASS_TILE", GATHERED_ROW: "GATHERED_ROW", DRAFT_ROW: "DRAFT_ROW", EMPTY: "EMPTY",
    AT_TARGETS: "AT_TARGETS",
    SCAN_ROW: "SCAN_ROW", SCAN_TILE: "SCAN_TILE", SEGMENTS: "SEGMENTS",
    PRODUCT: "PRODUCT", PRODUCT_BLOCKS: "PRODUCT_BLOCKS", PRODUCT_STACK: "PRODUCT_STACK",
    EXACT_PRODUCT: "EXACT_PRODUCT",
    TOP_ROWS: "TOP_ROWS", TOP_TILES: "TOP_TILES", DRAWN_ROWS: "DRAWN_ROWS", DRAWN_TILES: "DRAWN_TILES",
    PLAIN: "PLAIN",
}


def collect(list collected):
    """Append descriptions of all routes of this thread from now on to this list; None stops that.

    Returns the list used before. The caller keeps both alive: this thread's variable holds no reference.
    """
    exchange(&explained, 1)
    before = <object>routes if routes != NULL else None
    set_routes(NULL if collected is None else <void *>collected)
    return before


cdef int note(RouteName name) except -1:
    if load(&explained) and routes != NULL:
        (<list>routes).append({"name": NAMES[name]})
    return 0


cdef dict described(const Route *route, str shared):
    return {
        "name": NAMES[route.name], "shared": shared, "adjusted": bool(route.adjusted),
        "staged_in": bool(route.staged_in), "staged_out": bool(route.staged_out), "units": route.units,
        "unit_columns": route.unit_columns,
        "lane_columns": route.lane_columns, "length": route.length, "pieces": route.pieces, "piece": route.piece,
        "narrow_rows": route.narrow_rows, "band_tiles": route.band_tiles,
        "scratch_elements": route.staged_elements*route.staged_regions,
    }
