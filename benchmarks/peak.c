/* What this processor can do at best: products of int8 and of float32 in registers, and bytes moved, by threads.

       cc -O3 -march=native -pthread benchmarks/peak.c -o peak && ./peak THREADS SECONDS

   Prints a line `how`, then `int8` and `float32` in 10^9 operations a second (a multiplication and an addition are 2),
   and `bytes SIZE` in 10^9 bytes a second, read and written, for working sets of SIZE bytes a thread. All are the sum
   over THREADS, the best of three attempts of SECONDS. Exits with 2 where there is neither AVX-512 VNNI nor AVX2 with FMA. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512VNNI__)
#include <immintrin.h>
#define HOW "AVX-512 VNNI"
typedef __m512i Ints;
typedef __m512 Floats;
#define LANES 16
#define INTS(value) _mm512_set1_epi8(value)
#define FLOATS(value) _mm512_set1_ps(value)
#define DOT(sum, a, b) _mm512_dpbusd_epi32(sum, a, b)
#define FMA(a, b, sum) _mm512_fmadd_ps(a, b, sum)
#elif defined(__AVX2__) && defined(__FMA__)
#include <immintrin.h>
#define HOW "AVX2"
typedef __m256i Ints;
typedef __m256 Floats;
#define LANES 8
#define INTS(value) _mm256_set1_epi8(value)
#define FLOATS(value) _mm256_set1_ps(value)
#define DOT(sum, a, b) \
    _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), _mm256_set1_epi16(1)))
#define FMA(a, b, sum) _mm256_fmadd_ps(a, b, sum)
#endif

#ifndef HOW
int main(void) {
    fputs("this processor has neither AVX-512 VNNI nor AVX2 with FMA\n", stderr);
    return 2;
}
#else

enum { CHAINS = 12, STEPS = 10000 }; /* chains hide an instruction's latency; steps between looks at the clock */

typedef double Work(long size); /* operations, or bytes, of one call */

static volatile int zero; /* the compiler does not know that it stays 0 */
static Work *work;
static long size;
static double seconds;
static pthread_barrier_t start;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* What was computed must be used, or the compiler leaves it out. */
static void use(const void *values, long bytes) {
    for (long i = 0; zero && i < bytes; i++) putchar(((const char *)values)[i]);
}

static double int8_products(long none) {
    (void)none;
    Ints sums[CHAINS], a = INTS(zero + 3), b = INTS(zero + 5);
    for (int chain = 0; chain < CHAINS; chain++) sums[chain] = a;
    for (int step = 0; step < STEPS; step++) {
        for (int chain = 0; chain < CHAINS; chain++) {
            __asm__ volatile("" : "+x"(b)); /* or AVX2's product, which does not change, is computed once */
            sums[chain] = DOT(sums[chain], a, b);
        }
    }
    use(sums, sizeof sums);
    return 2.0 * 4 * LANES * CHAINS * STEPS;
}

static double float32_products(long none) {
    (void)none;
    Floats sums[CHAINS], a = FLOATS(zero + 0.5f), b = FLOATS(zero + 1.5f);
    for (int chain = 0; chain < CHAINS; chain++) sums[chain] = a;
    for (int step = 0; step < STEPS; step++)
        for (int chain = 0; chain < CHAINS; chain++) sums[chain] = FMA(sums[chain], a, b);
    use(sums, sizeof sums);
    return 2.0 * LANES * CHAINS * STEPS;
}

static double move_bytes(long bytes) {
    static __thread float *values;
    static __thread long held;
    if (held != bytes) {
        free(values);
        values = calloc(1, held = bytes);
        if (!values) exit(3);
    }
    for (long i = 0; i < bytes / 4; i++) values[i] = values[i] * 0.5f + 1.0f; /* each read and written */
    use(values, bytes);
    return 2.0 * bytes;
}

static void *run(void *rate) {
    double done = 0, begun, passed;
    work(size); /* warms up, and touches the memory */
    pthread_barrier_wait(&start);
    begun = now();
    do done += work(size);
    while ((passed = now() - begun) < seconds);
    *(double *)rate = done / passed;
    return NULL;
}

static double once(int threads, Work *what, long bytes) {
    pthread_t ids[threads];
    double rates[threads], sum = 0;
    work = what, size = bytes;
    pthread_barrier_init(&start, NULL, threads);
    for (int i = 0; i < threads; i++) pthread_create(&ids[i], NULL, run, &rates[i]);
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL), sum += rates[i];
    pthread_barrier_destroy(&start);
    return sum / 1e9;
}

static double giga(int threads, Work *what, long bytes) {
    double best = 0;
    for (int attempt = 0; attempt < 3; attempt++) { /* a peak is what a disturbed attempt does not reach */
        double rate = once(threads, what, bytes);
        best = rate > best ? rate : best;
    }
    return best;
}

int main(int count, char **words) {
    int threads = count > 1 ? atoi(words[1]) : 1;
    seconds = count > 2 ? atof(words[2]) : 0.5;
    if (threads < 1 || threads > 1024) return 1;
    printf("how %s\n", HOW);
    printf("int8 %.2f\n", giga(threads, int8_products, 0));
    printf("float32 %.2f\n", giga(threads, float32_products, 0));
    for (long bytes = 1 << 14; bytes <= 1 << 28; bytes <<= 2)
        printf("bytes %ld %.2f\n", bytes, giga(threads, move_bytes, bytes));
    return 0;
}
#endif
