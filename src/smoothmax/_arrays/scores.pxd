# Arguments of top_log_probs and categorical as the user gave them, in; the results, out.

cdef object top_array(object logits, object k, object axis)
cdef object draw_array(object logits, object axis, object size, object scale, object rng, object uniforms=*,
                       object begin=*)
