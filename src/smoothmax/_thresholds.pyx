"""The tuning limits for Python code (tests, bench/ and explain), and the compiler's checks of them."""

cimport smoothmax._thresholds as t

cdef extern from * nogil:
    """
    #if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L)
    #define smoothmax_assert(condition) static_assert(condition, #condition)
    #else
    #define smoothmax_assert(condition) _Static_assert(condition, #condition)
    #endif
    """
    void static_assert "smoothmax_assert"(bint condition)


cdef void compile_time_checks() noexcept nogil:
    """Results have the same bits however a reduction is divided only if its parts are multiples of the blocks."""
    static_assert(t.LANES_F32*4 == t.LANE_BYTES)
    static_assert(t.LANES_F64*8 == t.LANE_BYTES)
    static_assert(t.TILE_COLUMNS % t.LANES_F32 == 0)
    static_assert(t.ROW_BLOCK_LANES*t.LANE_BYTES == t.ROW_BLOCK_BYTES)
    # A row is divided into the same blocks whether it is staged in parts or read where it lies.
    static_assert(t.STAGED_ROW_BYTES % t.ROW_BLOCK_BYTES == 0)
    static_assert(t.ROW_PIECE_BYTES % t.ROW_BLOCK_BYTES == 0)
    static_assert(t.SCRATCH_ELEMENTS*4 >= t.STAGED_ROW_BYTES)
    # So is a tile. Blocks have 64 rows of float32, 32 of float64, 64 with weights, and ROW_BLOCK_LANES of products.
    static_assert(t.SCRATCH_TILE_ROWS*t.TILE_COLUMNS == t.SCRATCH_ELEMENTS)
    static_assert(t.SCRATCH_TILE_ROWS % (t.TILE_BLOCK_BYTES//(t.TILE_COLUMNS*4)) == 0)
    static_assert(t.SCRATCH_TILE_ROWS % (t.TILE_BLOCK_BYTES//(t.TILE_COLUMNS*8)) == 0)
    static_assert(t.SCRATCH_TILE_ROWS % t.WEIGHTED_TILE_BLOCK_ROWS == 0)
    static_assert(t.SCRATCH_TILE_ROWS % t.ROW_BLOCK_LANES == 0)
    static_assert(t.NARROW_STAGED_ROWS % (t.TILE_BLOCK_BYTES//(t.TILE_COLUMNS*4)) == 0)
    static_assert(t.NARROW_STAGED_ROWS % (t.TILE_BLOCK_BYTES//(t.TILE_COLUMNS*8)) == 0)
    static_assert(t.NARROW_STAGED_ROWS % t.WEIGHTED_TILE_BLOCK_ROWS == 0)
    # The other half of the scratch holds the numbers of narrow columns that kernels cannot read where they lie.
    static_assert(2*t.NARROW_STAGED_ROWS <= t.SCRATCH_TILE_ROWS)
    static_assert(t.LANES_F32 <= t.TILE_COLUMNS)
    # A fused row of sums is one block, with the bits of the path that reduces block by block.
    static_assert(t.FUSED_SUM_ROW_BYTES == t.ROW_BLOCK_BYTES)
    # One carry holds the rounding errors of the differences of a whole column.
    static_assert(t.SOFTMAX_DIFFERENCES_MAX_ROWS <= t.CARRY_ROWS)
    static_assert(t.EXACT_DIFFERENCES_MAX_ROWS <= t.CARRY_ROWS)
    static_assert(t.ROUNDED_DIFFERENCES_MAX_ROWS <= t.CARRY_ROWS)
    # A row that is fused without a plan fits on the stack where it is staged.
    static_assert(t.FUSED_SUM_ROW_BYTES <= t.STAGED_ROW_BYTES)
    static_assert(t.STAGED_ROW_BYTES <= t.FUSED_SOFTMAX_ROW_BYTES)
    static_assert(t.TOP_GROUP_ROWS*t.TOP_MAXIMA_ROWS == t.ROW_BLOCK_LANES)
    static_assert(2*t.PRODUCT_FACTOR_TERMS <= t.PRODUCT_TERMS)          # both parts are in one panel
    static_assert(t.LANES_F32 % t.PRODUCT_ROWS == 0)                    # a block is checked by groups of its rows
    static_assert(t.PRODUCT_COLUMNS % t.LANES_F32 == 0)                 # a block begins with a panel
    static_assert(t.PRODUCT_ROWS <= t.PRODUCT_STACK_ELEMENTS)           # a block's rows of lanes fit
    static_assert(t.PRODUCT_STACK_ELEMENTS*t.LANES_F32 <= t.PRODUCT_ROWS*t.PRODUCT_COLUMNS)  # places of results
    static_assert(t.SCORE_STAGED_STRIDE_BYTES == t.ROW_BLOCK_BYTES + t.CACHE_LINE_BYTES)
    # A uniform number times the number of parts is exact: it is below that, and no part begins above its numbers.
    static_assert((t.DRAW_BUCKETS & (t.DRAW_BUCKETS - 1)) == 0)
    # Tiles in the scratch are too small to prefetch columns: what lies after them is not the array (P22).
    static_assert(t.COLUMN_PREFETCH_FAR_MAX_ROWS*t.TILE_COLUMNS*8 <= t.COLUMN_PREFETCH_FAR_MIN_BYTES)
    static_assert(t.SERIAL_ROW_ELEMENTS == 4)   # the fewest lanes that are folded (loops/lanes.pxi)
    static_assert(t.TRANSPOSE_BLOCK_ROWS == 4)  # as the shuffles of data/transpose.pxi are written
    # Segments in tiles of fewer rows than a block has are equally long (data/gather.pxi).
    static_assert(t.TRANSPOSE_BLOCK_ROWS <= t.SEGMENT_SIZED_ROWS)
    static_assert(t.BAND_ROW_BYTES % (t.TILE_COLUMNS*8) == 0)       # a band has whole tiles
    # Work is divided into up to so many parts for each thread, counted in a C int.
    static_assert(t.MAX_THREADS <= 0x7FFFFFFF//t.SHARE_THREAD_ITEMS)


def limits():
    """Every limit by its name."""
    compile_time_checks()
    return {
        "TILE_COLUMNS": t.TILE_COLUMNS, "LANE_BYTES": t.LANE_BYTES, "LANES_F32": t.LANES_F32, "LANES_F64": t.LANES_F64,
        "CACHE_LINE_BYTES": t.CACHE_LINE_BYTES, "ROW_BLOCK_BYTES": t.ROW_BLOCK_BYTES,
        "ROW_BLOCK_LANES": t.ROW_BLOCK_LANES, "TILE_BLOCK_BYTES": t.TILE_BLOCK_BYTES,
        "WEIGHTED_TILE_BLOCK_ROWS": t.WEIGHTED_TILE_BLOCK_ROWS, "SCAN_BLOCK_ROWS": t.SCAN_BLOCK_ROWS,
        "SCAN_SUMMED_ROWS": t.SCAN_SUMMED_ROWS, "SCAN_LOWER_EXPONENTS": t.SCAN_LOWER_EXPONENTS,
        "TILE_SHORT_ELEMENTS": t.TILE_SHORT_ELEMENTS,
        "TILE_SHORT_MIN_COLUMNS": t.TILE_SHORT_MIN_COLUMNS, "TILE_LONG_ELEMENTS": t.TILE_LONG_ELEMENTS,
        "TILE_LONG_MIN_COLUMNS": t.TILE_LONG_MIN_COLUMNS, "NARROW_MIN_ELEMENTS": t.NARROW_MIN_ELEMENTS,
        "HALF_ROW_ELEMENTS": t.HALF_ROW_ELEMENTS, "CONTIGUOUS_MIN_ELEMENTS": t.CONTIGUOUS_MIN_ELEMENTS,
        "JOINT_MAX_ROWS": t.JOINT_MAX_ROWS, "HALF_TILE_ROWS": t.HALF_TILE_ROWS,
        "SERIAL_ROW_ELEMENTS": t.SERIAL_ROW_ELEMENTS, "SEGMENT_TILE_ELEMENTS": t.SEGMENT_TILE_ELEMENTS,
        "SEGMENT_SIZED_ROWS": t.SEGMENT_SIZED_ROWS, "SEGMENT_WINDOW_SEGMENTS": t.SEGMENT_WINDOW_SEGMENTS,
        "SEGMENT_WINDOW_ELEMENTS": t.SEGMENT_WINDOW_ELEMENTS, "SEGMENT_STRETCH_ELEMENTS": t.SEGMENT_STRETCH_ELEMENTS,
        "SEGMENT_LINE_MIN_SEGMENTS": t.SEGMENT_LINE_MIN_SEGMENTS, "SEGMENT_HUGE_BYTES": t.SEGMENT_HUGE_BYTES,
        "PRODUCT_ROWS": t.PRODUCT_ROWS, "PRODUCT_COLUMNS": t.PRODUCT_COLUMNS, "PRODUCT_TERMS": t.PRODUCT_TERMS,
        "PRODUCT_BLOCK_TERMS": t.PRODUCT_BLOCK_TERMS, "PRODUCT_PANEL_ELEMENTS": t.PRODUCT_PANEL_ELEMENTS,
        "PRODUCT_PANEL_MIN_TERMS": t.PRODUCT_PANEL_MIN_TERMS,
        "PRODUCT_EXACT_ELEMENTS": t.PRODUCT_EXACT_ELEMENTS, "PRODUCT_STACK_ELEMENTS": t.PRODUCT_STACK_ELEMENTS,
        "PRODUCT_FACTOR_TERMS": t.PRODUCT_FACTOR_TERMS, "PRODUCT_FACTORED_LANES": t.PRODUCT_FACTORED_LANES,
        "PRODUCT_FILLED_LANES": t.PRODUCT_FILLED_LANES, "TOP_GROUP_ROWS": t.TOP_GROUP_ROWS,
        "TOP_MAXIMA_ROWS": t.TOP_MAXIMA_ROWS, "TOP_SPARSE_ELEMENTS": t.TOP_SPARSE_ELEMENTS,
        "TOP_SPARE_ELEMENTS": t.TOP_SPARE_ELEMENTS, "TOP_TILE_ELEMENTS": t.TOP_TILE_ELEMENTS,
        "TOP_TILE_BEST_ELEMENTS": t.TOP_TILE_BEST_ELEMENTS, "DRAW_TILE_ELEMENTS": t.DRAW_TILE_ELEMENTS,
        "SCORE_TILE_MIN_ROWS": t.SCORE_TILE_MIN_ROWS, "TOP_SORTED_ELEMENTS": t.TOP_SORTED_ELEMENTS,
        "TOP_BUCKETS": t.TOP_BUCKETS, "TOP_SORT_BUCKETS": t.TOP_SORT_BUCKETS,
        "TOP_BUCKET_ELEMENTS": t.TOP_BUCKET_ELEMENTS, "TOP_INSERTED_ELEMENTS": t.TOP_INSERTED_ELEMENTS,
        "SCORE_ROWS": t.SCORE_ROWS,
        "SCORE_STAGED_ELEMENTS": t.SCORE_STAGED_ELEMENTS, "SCORE_STAGED_STRIDE_BYTES": t.SCORE_STAGED_STRIDE_BYTES,
        "SCORE_SPACE_BYTES": t.SCORE_SPACE_BYTES, "DRAW_PIECES": t.DRAW_PIECES,
        "DRAW_STORED_ELEMENTS": t.DRAW_STORED_ELEMENTS, "DRAW_BUCKETS": t.DRAW_BUCKETS,
        "FUSED_SUM_ROW_BYTES": t.FUSED_SUM_ROW_BYTES, "FUSED_SUM_TILE_BYTES": t.FUSED_SUM_TILE_BYTES,
        "FUSED_LOG_SOFTMAX_TILE_ROWS": t.FUSED_LOG_SOFTMAX_TILE_ROWS,
        "FUSED_SOFTMAX_ROW_BYTES": t.FUSED_SOFTMAX_ROW_BYTES, "FUSED_SOFTMAX_TILE_BYTES": t.FUSED_SOFTMAX_TILE_BYTES,
        "FUSED_STATE_ROW_BYTES": t.FUSED_STATE_ROW_BYTES, "FUSED_STATE_TILE_BYTES": t.FUSED_STATE_TILE_BYTES,
        "ALIASED_STRIDE_BYTES": t.ALIASED_STRIDE_BYTES, "ALIASED_SUM_TILE_BYTES": t.ALIASED_SUM_TILE_BYTES,
        "ALIASED_SOFTMAX_TILE_BYTES": t.ALIASED_SOFTMAX_TILE_BYTES,
        "ROUNDED_DIFFERENCES_MAX_ROWS": t.ROUNDED_DIFFERENCES_MAX_ROWS,
        "EXACT_DIFFERENCES_MAX_ROWS": t.EXACT_DIFFERENCES_MAX_ROWS,
        "SOFTMAX_DIFFERENCES_MAX_ROWS": t.SOFTMAX_DIFFERENCES_MAX_ROWS,
        "ROUNDED_MIN_LANE_ROWS": t.ROUNDED_MIN_LANE_ROWS, "ROUNDED_TERM_LANE_ROWS": t.ROUNDED_TERM_LANE_ROWS,
        "ROW_PIECE_BYTES": t.ROW_PIECE_BYTES,
        "TILE_PIECE_BYTES": t.TILE_PIECE_BYTES, "MAX_PIECES": t.MAX_PIECES, "DRAFT_MAX_BYTES": t.DRAFT_MAX_BYTES,
        "STAGED_DRAFT_BYTES": t.STAGED_DRAFT_BYTES, "BAND_ROWS": t.BAND_ROWS, "BAND_ROW_BYTES": t.BAND_ROW_BYTES,
        "BAND_MAX_TILES": t.BAND_MAX_TILES, "SCRATCH_ELEMENTS": t.SCRATCH_ELEMENTS,
        "SCRATCH_TILE_ROWS": t.SCRATCH_TILE_ROWS, "STAGED_ROW_BYTES": t.STAGED_ROW_BYTES,
        "NARROW_STAGED_ROWS": t.NARROW_STAGED_ROWS, "NARROW_ADJUSTED_BYTES": t.NARROW_ADJUSTED_BYTES,
        "TRANSPOSE_BLOCK_ROWS": t.TRANSPOSE_BLOCK_ROWS,
        "TRANSPOSE_NARROW_ROWS": t.TRANSPOSE_NARROW_ROWS, "MASK_BUFFER_ELEMENTS": t.MASK_BUFFER_ELEMENTS,
        "ELEMENTWISE_LANE_ROWS": t.ELEMENTWISE_LANE_ROWS, "ELEMENTWISE_BLOCK_ELEMENTS": t.ELEMENTWISE_BLOCK_ELEMENTS,
        "REPEATED_BLOCK_ELEMENTS": t.REPEATED_BLOCK_ELEMENTS, "UNFETCHED_STRIDE_BYTES": t.UNFETCHED_STRIDE_BYTES,
        "COLUMN_PREFETCH_MIN_ROWS": t.COLUMN_PREFETCH_MIN_ROWS,
        "COLUMN_PREFETCH_MIN_BYTES": t.COLUMN_PREFETCH_MIN_BYTES, "COLUMN_PREFETCH_LANES": t.COLUMN_PREFETCH_LANES,
        "COLUMN_PREFETCH_FAR_MAX_ROWS": t.COLUMN_PREFETCH_FAR_MAX_ROWS,
        "COLUMN_PREFETCH_FAR_MIN_BYTES": t.COLUMN_PREFETCH_FAR_MIN_BYTES,
        "SOFTMAX_PREFETCH_MAX_ROWS": t.SOFTMAX_PREFETCH_MAX_ROWS, "CARRY_ROWS": t.CARRY_ROWS,
        "CARRY_QUADS_F32": t.CARRY_QUADS_F32, "CARRY_QUADS_F64": t.CARRY_QUADS_F64,
        "REPEATED_BYTES": t.REPEATED_BYTES, "OVERLAP_MAX_WORK": t.OVERLAP_MAX_WORK,
        "CLASS_WEIGHT_BITS": t.CLASS_WEIGHT_BITS,
        "SMOOTHED_ONES_MAX_CLASSES": t.SMOOTHED_ONES_MAX_CLASSES, "GIL_MIN_ELEMENTS": t.GIL_MIN_ELEMENTS,
        "SHARE_MIN_BYTES": t.SHARE_MIN_BYTES, "SHARE_GRAIN_ELEMENTS": t.SHARE_GRAIN_ELEMENTS,
        "SHARE_THREAD_ITEMS": t.SHARE_THREAD_ITEMS, "SHARE_MIN_UNITS": t.SHARE_MIN_UNITS, "SPIN_YIELDS": t.SPIN_YIELDS,
        "MAX_QUEUES": t.MAX_QUEUES, "MAX_THREADS": t.MAX_THREADS, "QUOTA_SECONDS": t.QUOTA_SECONDS,
    }
