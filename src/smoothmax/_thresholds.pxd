# Every tuning limit of the schedule and the kernels. Limits that concern only files and Dask are in _scale (P43). All
# rooms may read this file; it reads none.
#
# A limit has its unit in its name. P-numbers name the entry of docs/performance.md that gives the reason for the value.
# Where the bits of a result require that one limit is a multiple of another, the compiler checks that in
# _thresholds.pyx.

cdef enum:
    # The shape of a kernel's work -------------------------------------------------------------------------------------
    TILE_COLUMNS = 64               # reductions that lie side by side in a tile (P17)
    LANE_BYTES = 128                # what a loop handles at a time: two vectors of 512 bits, four of 256 (P17)
    LANES_F32 = 32                  # LANE_BYTES of float32, and
    LANES_F64 = 16                  # of float64 (P17)
    CACHE_LINE_BYTES = 64           # the step from one prefetched line to the next (P10)
    ROW_BLOCK_BYTES = 16384         # of a row: its maximum is found from memory, then it is summed from L1 (P16)
    ROW_BLOCK_LANES = 128           # the same in units of LANE_BYTES (P16)
    TILE_BLOCK_BYTES = 16384        # of a tile (P16)
    WEIGHTED_TILE_BLOCK_ROWS = 64   # of a tile with weights (P21)
    SCAN_BLOCK_ROWS = 16            # rows of lanes that a scan sums by themselves (P50)
    SCAN_SUMMED_ROWS = 8            # of a block of columns that are summed before their logarithms are taken (P50)
    ELEMENTWISE_LANE_ROWS = 8       # of a ufunc that are computed up to their logarithms, before these are taken (P64)
    SCAN_LOWER_EXPONENTS = 30       # by which the sum of earlier pieces may exceed a block's scale (P50)

    # Which computing path a call takes (see route.pyx) ----------------------------------------------------------------
    TILE_SHORT_ELEMENTS = 48        # reductions up to this length become tiles, if there are at least
    TILE_SHORT_MIN_COLUMNS = 6      # this many side by side (P1)
    TILE_LONG_ELEMENTS = 256        # longer ones up to this length too, if there are at least
    TILE_LONG_MIN_COLUMNS = 32      # this many side by side (P1)
    NARROW_MIN_ELEMENTS = 2048      # fewest, of all columns together, for which merging the lanes' sums pays (P12)
    HALF_ROW_ELEMENTS = 4096        # most of a whole array of halves whose floats fit on the stack (P53)
    CONTIGUOUS_MIN_ELEMENTS = 256   # contiguous stretches this long are read in place, shorter ones gathered (P2)
    JOINT_MAX_ROWS = 16             # rows of a block or less whose logarithms are taken together (P15)
    SERIAL_ROW_ELEMENTS = 4         # a row of up to this many is summed one element after the other (P57)

    # Segments (P52) ---------------------------------------------------------------------------------------------------
    SEGMENT_TILE_ELEMENTS = 128     # segments up to this length are laid side by side,
    SEGMENT_SIZED_ROWS = 16         # in a tile with as many rows as the longest has; beyond this many, of few sizes;
    SEGMENT_WINDOW_SEGMENTS = 8192  # after this many have been sorted by their lengths,
    SEGMENT_WINDOW_ELEMENTS = 65536         # or segments of this many elements
    SEGMENT_STRETCH_ELEMENTS = 65536        # of all lines together: a thread takes the segments that begin in a stretch
    SEGMENT_LINE_MIN_SEGMENTS = 256         # with fewer, each is taken in all lines at a time, if lines fill the lanes
    SEGMENT_HUGE_BYTES = 4194304    # threads share a segment of this size

    # Products (P54) ---------------------------------------------------------------------------------------------------
    PRODUCT_ROWS = 16               # of a block whose elements are checked, and computed again, together,
    PRODUCT_COLUMNS = 256           # and its columns
    PRODUCT_TERMS = 256             # of a sum that are laid side by side in lanes at a time (a panel)
    PRODUCT_FACTOR_TERMS = 128      # the same of exponentials in two parts, which are laid side by side in two panels,
    PRODUCT_FACTORED_LANES = 4      # which pay if a block has a row for one of this many lanes
    PRODUCT_BLOCK_TERMS = 4194304   # matrices whose product has up to this many terms are multiplied without np.matmul,
    PRODUCT_PANEL_ELEMENTS = 16384  # but larger panels than this must fill three quarters of the lanes, hold sums
    PRODUCT_PANEL_MIN_TERMS = 4     # of at least this many terms, and not be transposed for a single row
    PRODUCT_EXACT_ELEMENTS = 16     # results of up to this many elements in each matrix are summed exactly,
    PRODUCT_STACK_ELEMENTS = 64     # those of up to this many can have a matrix of their stack in each lane
    PRODUCT_FILLED_LANES = 2        # vectors are used if one of this many lanes is filled

    # The largest elements of a row, and draws from it (P58) -----------------------------------------------------------
    TOP_GROUP_ROWS = 16             # rows of lanes; the elements in one of their lanes are a group,
    TOP_MAXIMA_ROWS = 8             # rows of lanes of such groups in a block
    TOP_SPARSE_ELEMENTS = 64        # if one group or more in this many elements matters, all elements are searched
    TOP_SPARE_ELEMENTS = 4          # a threshold may let through one candidate too many for this many that are wanted
    TOP_TILE_ELEMENTS = 128         # rows up to this length lie side by side in a tile, if at most
    TOP_TILE_BEST_ELEMENTS = 16     # this many of their largest elements are wanted;
    DRAW_TILE_ELEMENTS = 48         # rows up to this length do, if elements are drawn from them;
    SCORE_TILE_MIN_ROWS = 6         # in both cases if there are this many rows
    TOP_SORTED_ELEMENTS = 64        # up to this many largest elements so far are kept sorted
    TOP_BUCKETS = 256               # a selection from more candidates divides their values into this many buckets,
    TOP_SORT_BUCKETS = 1024         # a sort divides them into up to this many,
    TOP_BUCKET_ELEMENTS = 32        # if none gets more than this many; otherwise it sorts by digits,
    TOP_INSERTED_ELEMENTS = 12      # and sorts the last of them, up to this many, by insertion
    SCORE_ROWS = 16                 # rows taken side by side, if the stride between rows is the smaller one
    SCORE_STAGED_ELEMENTS = 128     # of each of these rows that are staged in turn,
    SCORE_STAGED_STRIDE_BYTES = 16448       # from one row to the next: a block and a cache line
    SCORE_SPACE_BYTES = 524288      # for the candidates of rows side by side
    DRAW_PIECES = 1024              # stretches of a row whose sums are stored
    DRAW_STORED_ELEMENTS = 32       # of a short row for each draw; with more, sums along its lanes are not stored
    DRAW_BUCKETS = 256              # parts of [0, 1); each knows where searches begin, for more draws than parts

    # Fused paths: one call computes the results of a row or tile of up to this many bytes (P20) ----------------
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
    # Columns of at most this many rows use differences from the maximum in two parts, longer ones a shift (P19).
    ROUNDED_DIFFERENCES_MAX_ROWS = 2
    EXACT_DIFFERENCES_MAX_ROWS = 4
    SOFTMAX_DIFFERENCES_MAX_ROWS = 12
    HALF_TILE_ROWS = 128            # terms of a float's sum if results are halves (P53)
    ROUNDED_MIN_LANE_ROWS = 8       # rows of at least this many LANE_BYTES sum rounded exponentials first (P18)
    ROUNDED_TERM_LANE_ROWS = 16     # of a weighted row are expected to sum to the bound of its largest term (P18)

    # Pieces of one long reduction (P3) --------------------------------------------------------------------------------
    ROW_PIECE_BYTES = 262144        # of a row
    TILE_PIECE_BYTES = 1048576      # of a tile; pieces of narrow columns lie between the two
    MAX_PIECES = 64                 # their sums take 600 KiB
    DRAFT_MAX_BYTES = 67108864      # of a row whose exponentials are stored in the result and corrected there (P4)
    STAGED_DRAFT_BYTES = 1015808    # of a row whose draft is in the thread's memory: 1 MiB with three states (P53)
    BAND_ROWS = 16                  # tiles side by side write this many rows in turn,
    BAND_ROW_BYTES = 2048           # of up to this many bytes each,
    BAND_MAX_TILES = 8              # and up to this many tiles (P8)

    # Staging (P11, P13) -----------------------------------------------------------------------------------------------
    SCRATCH_ELEMENTS = 8192         # that are staged at a time; as many weights are
    SCRATCH_TILE_ROWS = 128         # SCRATCH_ELEMENTS of a tile
    STAGED_ROW_BYTES = 16384        # parts of a row that go through the scratch, which stay in L1
    NARROW_STAGED_ROWS = 64         # of narrow columns with weights, and the most of others
    NARROW_ADJUSTED_BYTES = 4194304         # of narrow columns that kernels adjust; more go through the scratch (P45)
    TRANSPOSE_BLOCK_ROWS = 4        # the shortest side of a block that is transposed (P1)
    TRANSPOSE_NARROW_ROWS = 8       # rows at a time where there are fewer columns than that (P1)
    MASK_BUFFER_ELEMENTS = 512      # of a mask, factors, addends, halves or short rows in a buffer at a time
    REPEATED_BLOCK_ELEMENTS = 1024          # of an operand that is repeated along short rows (P62)
    ELEMENTWISE_BLOCK_ELEMENTS = 256        # of a ufunc's operand that are made contiguous at a time (P51)

    # Prefetching (P10, P22) -------------------------------------------------------------------------------------------
    UNFETCHED_STRIDE_BYTES = 16384  # rows a multiple of this apart would evict each other
    COLUMN_PREFETCH_MIN_ROWS = 8    # tiles of more rows prefetch columns; up to
    COLUMN_PREFETCH_FAR_MAX_ROWS = 256      # this many rows those that lie
    COLUMN_PREFETCH_LANES = 4       # this far ahead, in units of LANE_BYTES,
    COLUMN_PREFETCH_FAR_MIN_BYTES = 131072  # if the rows span more than this;
    COLUMN_PREFETCH_MIN_BYTES = 1048576     # taller tiles the next lanes, if they span more than this (P22)
    SOFTMAX_PREFETCH_MAX_ROWS = 128         # softmax prefetches columns of up to this many rows (P22)

    # Rounding errors that one number can carry (P48) ------------------------------------------------------------------
    CARRY_ROWS = 16                 # of exact terms
    CARRY_QUADS_F32 = 2             # groups of four rounded terms
    CARRY_QUADS_F64 = 8

    # Arguments --------------------------------------------------------------------------------------------------------
    REPEATED_BYTES = 786432         # of copies of masks, weights and addends in which short axes are joined (P65)
    OVERLAP_MAX_WORK = 10000        # of NumPy's search for memory that arrays share; beyond, a copy is made (P24)
    CLASS_WEIGHT_BITS = 16          # class weights from 2**-16 to 2**16 leave float32 losses in float32's range (P42)
    SMOOTHED_ONES_MAX_CLASSES = 32768       # smoothing uses an array of ones; for more, one number (P49)

    # Threads ----------------------------------------------------------------------------------------------------------
    GIL_MIN_ELEMENTS = 500          # below, the GIL is kept: releasing it costs more than it gains, as in NumPy (P5)
    SHARE_MIN_BYTES = 262144        # from which threads share a call: about 35 us of work (P6)
    SHARE_GRAIN_ELEMENTS = 8192     # fewest that a thread takes at a time (P7)
    SHARE_THREAD_ITEMS = 16         # most parts that the work is divided into for each thread (P7)
    SHARE_MIN_UNITS = 2             # rows or tiles for each thread; where there are fewer, pieces are shared (P7)
    SPIN_YIELDS = 100               # how often a thread looks for work before it sleeps: about 50 us (P23)
    MAX_QUEUES = 64                 # into which the items of a call are divided (P31)
    MAX_THREADS = 1024              # that a call may ask for; a small multiple of it fits an int (P38)
    QUOTA_SECONDS = 1               # until a CPU quota is read again, which takes up to 0.2 ms (P38)
