/* The kernels for one instruction set, whose flags setup.py states. */
#define PyInit_kernels PyInit_x86_64_v3
#include "kernels.c"
