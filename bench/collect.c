/* Tells callgrind which call to count. Compiled by instructions.py; outside of valgrind it does nothing. */
#include <valgrind/callgrind.h>

void start(void) { CALLGRIND_START_INSTRUMENTATION; } /* once: stopping throws away all that was translated */

void begin(void) { CALLGRIND_ZERO_STATS; }

void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); }
