/* A fault of gcc 12 at -O1, which smoothmax is not compiled with: the call of a function that writes through a pointer
   is dropped. The program is valid C and prints 8. CONTRIBUTING.md, "Compilers", says what follows from it.

       for flags in -O0 -O1 -O2 -O3 "-O1 -fno-ipa-modref -fno-ipa-pure-const"; do
           gcc $flags tools/gcc12_o1.c -o /tmp/a.out && echo "$flags: $(/tmp/a.out)"
       done

   gcc 12.2.0 (x86-64) prints 0 with -O1, and 8 with each of the others. */
#include <stdio.h>

struct array { char head[40]; const long *strides; };
struct shape { int n; int reduced[4]; long stride[2][4]; };

static void take(struct array *a, int role, struct shape *s, int keep) {
    int j = 0, n = s->n, step;
    for (int i = 0; i < n; i++) {
        s->stride[role][i] = s->reduced[i] ? 0 : a->strides[j];
        step = keep ? keep : !s->reduced[i];
        j += step;
    }
}

static __attribute__((noinline)) void put(struct array *a, struct shape *s, int keep) { take(a, 1, s, keep); }

void (*exported)(struct array *, int, struct shape *, int) = take;

int main(int argc, char **argv) {
    static long strides[] = {8};
    struct array a = {.strides = strides};
    struct shape s = {.n = 2, .reduced = {0, 1}};
    (void)argv;
    for (int i = 0; i < argc; i++) put(&a, &s, 0);
    printf("%ld\n", s.stride[1][0]);
    return 0;
}
