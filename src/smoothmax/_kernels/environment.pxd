# The floating-point environment that kernels need: round to nearest, keep subnormal numbers, trap nothing.
#
# A caller may have another one, as after torch.set_flush_denormal(True) or fesetround. Then equal calls would give
# different bits, and constants that round would round the wrong way. Code that calls kernels enters the standard
# environment first and restores the caller's afterwards. If both are the same, this only reads one register.
#
# Calls must not leave floating-point flags, because NumPy would warn of them: after the loop of a ufunc, and after that
# of np.vectorize, which calls Python functions. So leave_environment restores the flags of SSE as well, and
# leave_whole_environment those of x87, which computes longdouble.

cdef extern from * nogil:
    """
    #include <fenv.h>
    #if defined(__SSE2__) || defined(_M_X64)
    #include <xmmintrin.h>
    /* The control bits of MXCSR, without the flags that exceptions leave. */
    #define SMOOTHMAX_CONTROL 0xFFC0u
    #define SMOOTHMAX_STANDARD 0x1F80u
    #if defined(_MSC_VER)                       /* longdouble is double there, and x87 is not used */
    typedef struct { int changed; unsigned int control; } smoothmax_environment;
    static inline void smoothmax_enter_x87(smoothmax_environment *saved) { (void)saved; }
    static inline void smoothmax_leave_x87(const smoothmax_environment *saved) { (void)saved; }
    #else
    /* x87 converts longdouble, and has a rounding mode of its own. Only its control word is exchanged, because
       fegetenv and fesetenv take 100 ns each (P41). Where the caller traps exceptions, their flags are cleared: a flag
       that was up before the trap was set would stop the program at fldcw, and one that a kernel raises would stop it
       when the traps are back. */
    typedef struct { int changed; unsigned int control; unsigned short x87; } smoothmax_environment;
    static inline void smoothmax_clear_trapped(const smoothmax_environment *saved) {
        if ((saved->x87 & 0x3F) != 0x3F) __asm__ __volatile__("fnclex");
    }
    static inline void smoothmax_enter_x87(smoothmax_environment *saved) {
        static const unsigned short standard = 0x037F;
        __asm__ __volatile__("fnstcw %0" : "=m"(saved->x87));
        smoothmax_clear_trapped(saved);
        __asm__ __volatile__("fldcw %0" : : "m"(standard) : "memory");
    }
    static inline void smoothmax_leave_x87(const smoothmax_environment *saved) {
        smoothmax_clear_trapped(saved);
        __asm__ __volatile__("fldcw %0" : : "m"(saved->x87) : "memory");
    }
    #endif
    static inline void smoothmax_enter(smoothmax_environment *saved) {
        saved->control = _mm_getcsr();
        saved->changed = (saved->control & SMOOTHMAX_CONTROL) != SMOOTHMAX_STANDARD;
        if (saved->changed) {
            smoothmax_enter_x87(saved);
            _mm_setcsr(SMOOTHMAX_STANDARD);
        }
    }
    static inline void smoothmax_leave(const smoothmax_environment *saved) {
        /* NumPy reads the flags of invalid operations, division by zero, overflow and underflow. */
        if ((_mm_getcsr() ^ saved->control) & (SMOOTHMAX_CONTROL | 0x1Du)) {
            if (saved->changed) smoothmax_leave_x87(saved);
            _mm_setcsr(saved->control);
        }
    }
    #elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
    typedef struct { unsigned long long control, flags; } smoothmax_environment;
    /* Rounding mode, flushing to zero, default NaN and traps; all are 0 in the standard environment. */
    #define SMOOTHMAX_CONTROL 0x03C89F00ull
    static inline void smoothmax_enter(smoothmax_environment *saved) {
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(saved->control));
        __asm__ __volatile__("mrs %0, fpsr" : "=r"(saved->flags));
        if (saved->control & SMOOTHMAX_CONTROL)
            __asm__ __volatile__("msr fpcr, %0" : : "r"(saved->control & ~SMOOTHMAX_CONTROL));
    }
    static inline void smoothmax_leave(const smoothmax_environment *saved) {
        __asm__ __volatile__("msr fpsr, %0" : : "r"(saved->flags));
        if (saved->control & SMOOTHMAX_CONTROL)
            __asm__ __volatile__("msr fpcr, %0" : : "r"(saved->control));
    }
    #else
    typedef struct { fenv_t all; } smoothmax_environment;
    static inline void smoothmax_enter(smoothmax_environment *saved) { fegetenv(&saved->all); fesetenv(FE_DFL_ENV); }
    static inline void smoothmax_leave(const smoothmax_environment *saved) { fesetenv(&saved->all); }
    #endif
    static inline void smoothmax_enter_whole(fenv_t *saved) { fegetenv(saved); fesetenv(FE_DFL_ENV); }
    static inline void smoothmax_leave_whole(const fenv_t *saved) { fesetenv(saved); }
    """
    ctypedef struct Environment "smoothmax_environment":
        pass
    void enter_environment "smoothmax_enter"(Environment *saved)
    void leave_environment "smoothmax_leave"(const Environment *saved)
    ctypedef struct WholeEnvironment "fenv_t":
        pass
    void enter_whole_environment "smoothmax_enter_whole"(WholeEnvironment *saved)
    void leave_whole_environment "smoothmax_leave_whole"(const WholeEnvironment *saved)
