# Every tuning limit of the schedule and the kernels. Those of files and Dask alone stand in _scale (P43). All rooms may
# read this file; it reads none.
#
# A limit has its unit in its name. P-numbers name the entry of docs/performance.md that says why it is what it is.
# Limits that must be multiples of one another, because the bits of a result depend on it, are compared by the compiler
# in _thresholds.pyx.

cdef enum:
    # The shape of a kernel's work -------------------------------------------------------------------------------------
    TILE_COLUMNS = 64               # reductions that lie side by side in a tile (P17)
    LANE_BYTES = 128                # elements that a loop handles at a time: two vectors of 512 bits, four of 256 (P17)
    LANES_F32 = 32                  # LANE_BYTES of float32, and
    LANES_F64 = 16                  # of float64 (P17)
    CACHE_LINE_BYTES = 64           # the step from one prefetched line to the next (P10)
    ROW_BLOCK_BYTES = 16384         # of a row: a block is maximised from memory, then summed from L1 (P16)
    ROW_BLOCK_LANES = 128           # ROW_BLOCK_BYTES in units of LANE_BYTES (P16)
    TILE_BLOCK_BYTES = 16384        # of a tile (P16)
    WEIGHTED_TILE_BLOCK_ROWS = 64   # of a tile with weights (P21)
    SCAN_BLOCK_ROWS = 16            # rows of lanes that a scan sums by themselves (P50)
    SCAN_LOWER_EXPONENTS = 30       # that the sum of earlier pieces may be above a block's scale (P50)

    # Which computing path a call takes (see route.pyx) ----------------------------------------------------------------
    TILE_SHORT_ELEMENTS = 48        # reductions of at most so many elements become a tile, where at least
    TILE_SHORT_MIN_COLUMNS = 6      # so many lie side by side; (P1)
    TILE_LONG_ELEMENTS = 256        # of at most so many elements, where at least
    TILE_LONG_MIN_COLUMNS = 32      # so many lie side by side (P1)
    NARROW_MIN_ELEMENTS = 2048      # of all columns together, for which merging the lanes' sums pays (P12)
    HALF_ROW_ELEMENTS = 2048        # of a whole array of halves that is converted on the stack (P53)
    CONTIGUOUS_MIN_ELEMENTS = 256   # contiguous stretches this long are read in place, shorter ones gathered (P2)
    JOINT_MAX_ROWS = 16             # short rows whose logarithms are taken together (P15),
    JOINT_ROW_MIN_BYTES = 1024      # of at least so many bytes each

    # Segments (P52) ---------------------------------------------------------------------------------------------------
    SEGMENT_TILE_ELEMENTS = 128     # segments of at most so many elements lie side by side,
    SEGMENT_WINDOW_SEGMENTS = 4096  # after so many have been sorted by their lengths,
    SEGMENT_WINDOW_ELEMENTS = 65536         # or so many elements
    SEGMENT_STRETCH_ELEMENTS = 65536        # of all lines together: a thread takes the segments that begin in a stretch
    SEGMENT_LINE_MIN_SEGMENTS = 256         # of fewer, each is taken in all lines at a time, if these fill the lanes
    SEGMENT_HUGE_BYTES = 4194304    # a segment this large is shared by threads

    # Products (P54) ---------------------------------------------------------------------------------------------------
    PRODUCT_ROWS = 16               # of a block whose elements are certified, and computed anew, together,
    PRODUCT_COLUMNS = 256           # and its columns
    PRODUCT_TERMS = 256             # of a sum that are laid side by side in lanes at a time
    PRODUCT_EXACT_ELEMENTS = 16     # a result with no more of them in each matrix is summed exactly,
    PRODUCT_STACK_ELEMENTS = 64     # and one with no more can have a matrix of its stack in each lane

    # The largest elements of a row, and draws from it (P58) -----------------------------------------------------------
    TOP_GROUP_ROWS = 16             # rows of lanes whose elements at the same lane are a group,
    TOP_MAXIMA_ROWS = 8             # and rows of lanes of groups in a block
    TOP_SPARSE_ELEMENTS = 64        # where one group in so many elements matters, all elements are looked at
    TOP_TILE_ELEMENTS = 128         # of rows that lie side by side in a tile, from which at most
    TOP_TILE_BEST_ELEMENTS = 16     # so many of the largest are wanted;
    DRAW_TILE_ELEMENTS = 48         # of rows that do, from which elements are drawn;
    SCORE_TILE_MIN_ROWS = 6         # if there are so many rows
    TOP_SORTED_ELEMENTS = 64        # the largest so far are kept sorted if they are no more than these
    SCORE_ROWS = 16                 # rows side by side, if the smaller stride leads from one to the next
    SCORE_STAGED_ELEMENTS = 128     # of each of them that are staged in turn
    SCORE_SPACE_BYTES = 524288      # for the candidates of rows side by side
    DRAW_PIECES = 1024              # stretches of a row, whose sums are stored

    # Fused paths: up to so many bytes of a row or a tile go from elements to results in one call (P20) ----------------
    FUSED_SUM_ROW_BYTES = 16384             # logsumexp and log_softmax: one block
    FUSED_SUM_TILE_BYTES = 131072           # logsumexp
    FUSED_LOG_SOFTMAX_TILE_ROWS = 1024      # log_softmax
    FUSED_SOFTMAX_ROW_BYTES = 262144
    FUSED_SOFTMAX_TILE_BYTES = 524288
    FUSED_STATE_ROW_BYTES = 1048576         # operations that need the sums besides their results: values with gradients
    FUSED_STATE_TILE_BYTES = 524288
    # Rows of a tile that lie a multiple of ALIASED_STRIDE_BYTES apart share a few sets of the cache (P9).
    ALIASED_STRIDE_BYTES = 4096
    ALIASED_SUM_TILE_BYTES = 49152
    ALIASED_SOFTMAX_TILE_BYTES = 196608
    # Columns of at most so many rows take differences from the maximum in two parts; of more rows, a shift (P19).
    ROUNDED_DIFFERENCES_MAX_ROWS = 2
    EXACT_DIFFERENCES_MAX_ROWS = 4
    SOFTMAX_DIFFERENCES_MAX_ROWS = 12
    ROUNDED_MIN_LANE_ROWS = 8       # rows of at least so many LANE_BYTES sum rounded exponentials first (P18)

    # Pieces of one long reduction (P3) --------------------------------------------------------------------------------
    ROW_PIECE_BYTES = 262144        # of a row
    TILE_PIECE_BYTES = 1048576      # of a tile; pieces of narrow columns lie between the two
    MAX_PIECES = 64                 # their sums take 600 KiB
    DRAFT_MAX_BYTES = 67108864      # of a row whose exponentials are stored in the result and corrected there (P4)
    STAGED_DRAFT_BYTES = 1015808    # of a row whose draft lies in memory of the thread: 1 MiB with three states (P53)
    BAND_ROWS = 16                  # tiles side by side write so many rows in turn,
    BAND_ROW_BYTES = 2048           # over so many bytes of a row,
    BAND_MAX_TILES = 8              # and at most so many tiles (P8)

    # Staging (P11, P13) -----------------------------------------------------------------------------------------------
    SCRATCH_ELEMENTS = 8192         # that are staged at a time, and as many weights
    SCRATCH_TILE_ROWS = 128         # SCRATCH_ELEMENTS of a tile
    STAGED_ROW_BYTES = 16384        # of a row that passes through the scratch in parts, which then stay in L1
    NARROW_STAGED_ROWS = 64         # of narrow columns
    MASK_BUFFER_ELEMENTS = 512      # of a mask, factors, addends, halves or short rows that pass a buffer at a time
    ELEMENTWISE_BLOCK_ELEMENTS = 256        # of an operand of a ufunc that are made contiguous at a time (P51)

    # Prefetching (P10, P22) -------------------------------------------------------------------------------------------
    UNFETCHED_STRIDE_BYTES = 16384  # rows a multiple of this apart would evict each other
    COLUMN_PREFETCH_MIN_ROWS = 16   # a processor follows so many rows by itself
    COLUMN_PREFETCH_MIN_BYTES = 1048576     # between first and last row; what is nearer is in cache

    # Rounding errors that one number can carry (P48) ------------------------------------------------------------------
    CARRY_ROWS = 16                 # of exact terms
    CARRY_QUADS_F32 = 2             # of rounded terms: so many times four
    CARRY_QUADS_F64 = 8

    # Arguments --------------------------------------------------------------------------------------------------------
    OVERLAP_MAX_WORK = 10000        # of NumPy's search for memory that strided arrays share; then a copy is made (P24)
    CLASS_WEIGHT_BITS = 16          # class weights from 2**-16 to 2**16 leave float32 losses in float32's range (P42)
    SMOOTHED_ONES_MAX_CLASSES = 32768       # with an array of ones for what smoothing spreads; else one number (P49)

    # Threads ----------------------------------------------------------------------------------------------------------
    GIL_MIN_ELEMENTS = 500          # below, releasing the GIL costs more than it is worth, as in NumPy (P5)
    SHARE_MIN_BYTES = 262144        # from which a call is shared: work of some 35 us (P6)
    SHARE_GRAIN_ELEMENTS = 8192     # that a thread takes at a time, at least (P7)
    SPIN_YIELDS = 100               # times that a thread looks for work before it sleeps: some 50 us (P23)
    MAX_QUEUES = 64                 # into which the items of a call are divided (P31)
    MAX_THREADS = 1024              # that a call may ask for; a product of it and a small factor fits an int (P38)
    QUOTA_SECONDS = 1               # for which a CPU quota is believed: reading it takes up to 0.2 ms (P38)
