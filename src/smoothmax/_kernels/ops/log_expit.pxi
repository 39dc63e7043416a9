# log_expit, the logarithm of the logistic function
#
#     log_expit(x) = log(1/(1 + exp(-x))) = -log(1 + exp(-x)) = -log1pexp(-x)
#
# Error and worst inputs: as for log1pexp.
