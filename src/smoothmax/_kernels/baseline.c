/* The kernels for one instruction set, whose flags setup.py states. */
#define PyInit_kernels PyInit_baseline
#include "kernels.c"
