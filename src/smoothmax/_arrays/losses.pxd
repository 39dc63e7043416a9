# From arguments of losses and gradients, as the user gave them, to results.

from smoothmax._kernels.interface cimport Operation


cdef enum LossInput:
    LOGITS
    LOG_PROBABILITIES


cdef enum LossResult:
    LOSS
    LOSS_AND_GRADIENT


cdef object value_and_softmax(object a, object axis, object keepdims, object where, object out, object dtype,
                              object scale, object add)
cdef object product_array(Operation operation, object g, object p, str name, object axis, object out)
cdef object log_prob_array(object logits, object targets, object axis, object scale, object add)
cdef object loss_array(LossInput kind, LossResult wanted, object logits, object targets, object axis, object weight,
                       object ignore_index, object label_smoothing, object reduction, object out, object scale,
                       object add)
