/* An extension module in plain C that uses every function of smoothmax.h. */

#include <smoothmax.h>
#include <pthread.h>

#define NEEDED 48 * 1024 /* bytes of stack; the functions take at most 32 KiB, the system some of its own */

static double numbers[40000], results[80000], found[6];

/* Run by a thread that Python knows nothing of, while the main thread holds the GIL and waits. */
static void *work(void *unused) {
    smoothmax_partial_sum_f64 sum, other;
    (void)unused;
    found[0] = smoothmax_logsumexp_f64(numbers, 40000, 1);
    found[1] = smoothmax_logsumexp_f64(numbers, 20000, 2);
    smoothmax_softmax_f64(numbers, 40000, 1, results, 2);
    found[2] = results[2 * 39999];
    smoothmax_log_softmax_f64(numbers, 40000, 1, results, 2);
    found[3] = results[2 * 39999];
    smoothmax_partial_sum_init_f64(&sum);
    smoothmax_partial_sum_init_f64(&other);
    smoothmax_partial_sum_absorb_f64(&sum, numbers, 20000, 2);
    smoothmax_partial_sum_absorb_f64(&other, numbers + 1, 20000, 2);
    smoothmax_partial_sum_merge_f64(&sum, &other);
    found[4] = smoothmax_partial_sum_result_f64(&sum);
    found[5] = smoothmax_logaddexp_f64(smoothmax_log1pexp_f64(0.5), smoothmax_logsubexp_f64(1.0, 0.5))
        + smoothmax_log1mexp_f64(-1.0) + smoothmax_log_expit_f64(2.0);
    return NULL;
}

static PyObject *in_a_thread(PyObject *self, PyObject *array) {
    Py_buffer buffer;
    pthread_attr_t attributes;
    pthread_t thread;
    int failed;
    Py_ssize_t i;
    (void)self;
    if (PyObject_GetBuffer(array, &buffer, PyBUF_SIMPLE)) return NULL;
    for (i = 0; i < 40000; i++) numbers[i] = ((double *)buffer.buf)[i];
    PyBuffer_Release(&buffer);
    pthread_attr_init(&attributes);
    failed = pthread_attr_setstacksize(&attributes, NEEDED) || pthread_create(&thread, &attributes, work, NULL)
        || pthread_join(thread, NULL);
    pthread_attr_destroy(&attributes);
    if (failed) return PyErr_Format(PyExc_OSError, "no thread");
    return Py_BuildValue("dddddd", found[0], found[1], found[2], found[3], found[4], found[5]);
}

static PyObject *of_floats(PyObject *self, PyObject *unused) {
    float x[3] = {1.5f, -2.0f, 0.25f}, out[3], log_out[3];
    smoothmax_partial_sum_f32 sum, other;
    (void)self, (void)unused;
    smoothmax_softmax_f32(x, 3, 1, out, 1);
    smoothmax_log_softmax_f32(x, 3, 1, log_out, 1);
    smoothmax_partial_sum_init_f32(&sum);
    smoothmax_partial_sum_init_f32(&other);
    smoothmax_partial_sum_absorb_f32(&other, x, 3, 1);
    smoothmax_partial_sum_merge_f32(&sum, &other);
    return Py_BuildValue("fffff(fffff)", smoothmax_logsumexp_f32(x, 3, 1), out[1], log_out[1],
                         smoothmax_partial_sum_result_f32(&sum), smoothmax_partial_sum_result_f32(&other),
                         smoothmax_logaddexp_f32(0.5f, 1.0f), smoothmax_logsubexp_f32(1.0f, 0.5f),
                         smoothmax_log1mexp_f32(-1.0f), smoothmax_log1pexp_f32(0.5f), smoothmax_log_expit_f32(2.0f));
}

static PyMethodDef methods[] = {
    {"in_a_thread", in_a_thread, METH_O, NULL},
    {"of_floats", of_floats, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "consumer", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit_consumer(void) {
    if (smoothmax_import()) return NULL;
    return PyModule_Create(&definition);
}
