/* Whether the processor, and the operating system for its registers, have a feature that variants of the kernels need. */

#ifndef SMOOTHMAX_CPU_FEATURES_H
#define SMOOTHMAX_CPU_FEATURES_H

#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(SMOOTHMAX_ASK_CPUID)

#include <cpuid.h>

/* The builtin takes literals only, so each feature that VARIANTS names is asked for by name here. Clang 14 does not
   know "f16c", whose registers are those of "avx2": its bit of CPUID is enough. */
static int smoothmax_cpu_has(const char *name) {
    unsigned a, b, c, d;
    if (strcmp(name, "f16c") == 0) return __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
#define SMOOTHMAX_ASK(feature) if (strcmp(name, feature) == 0) return __builtin_cpu_supports(feature) != 0;
    __builtin_cpu_init();
    SMOOTHMAX_ASK("avx2") SMOOTHMAX_ASK("fma") SMOOTHMAX_ASK("bmi") SMOOTHMAX_ASK("bmi2")
    SMOOTHMAX_ASK("avx512f") SMOOTHMAX_ASK("avx512bw") SMOOTHMAX_ASK("avx512cd")
    SMOOTHMAX_ASK("avx512dq") SMOOTHMAX_ASK("avx512vl")
    return 0;
}

#elif (defined(_M_X64) && defined(__clang__)) || defined(SMOOTHMAX_ASK_CPUID)

/* clang-cl links no library that has __builtin_cpu_supports, so the processor is asked directly. Bits as in volume 2A of
   Intel's manual, instruction CPUID, and volume 1, section 13.3 (XCR0). */
#include <cpuid.h>

static int smoothmax_cpu_has(const char *name) {
    enum {FMA = 12, OSXSAVE = 27, F16C = 29, AVX_STATE = 0x06, AVX512_STATE = 0xe6};
    static const struct {const char *name; int bit; unsigned state;} of_leaf_7[] = {
        {"bmi", 3, 0}, {"avx2", 5, AVX_STATE}, {"bmi2", 8, 0}, {"avx512f", 16, AVX512_STATE},
        {"avx512dq", 17, AVX512_STATE}, {"avx512cd", 28, AVX512_STATE}, {"avx512bw", 30, AVX512_STATE},
        {"avx512vl", 31, AVX512_STATE},
    };
    unsigned a, b, c, d, state = 0, high, i;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return 0;
    if (c >> OSXSAVE & 1) __asm__ volatile("xgetbv" : "=a"(state), "=d"(high) : "c"(0));
    if (strcmp(name, "fma") == 0) return (c >> FMA & 1) && (state & AVX_STATE) == AVX_STATE;
    if (strcmp(name, "f16c") == 0) return (c >> F16C & 1) && (state & AVX_STATE) == AVX_STATE;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 0;
    for (i = 0; i < sizeof of_leaf_7/sizeof *of_leaf_7; i++)
        if (strcmp(name, of_leaf_7[i].name) == 0)
            return (b >> of_leaf_7[i].bit & 1) && (state & of_leaf_7[i].state) == of_leaf_7[i].state;
    return 0;
}

#else

static int smoothmax_cpu_has(const char *name) {
    (void)name;
    return 0;
}

#endif

#endif
