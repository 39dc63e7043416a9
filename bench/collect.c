/* Tells callgrind which call to count. bench/callgrind.py compiles it. Outside of valgrind it does nothing. */
#include <valgrind/callgrind.h>

void start(void) { CALLGRIND_START_INSTRUMENTATION; } /* once: stopping discards the translated code */

void begin(void) { CALLGRIND_ZERO_STATS; }

void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
