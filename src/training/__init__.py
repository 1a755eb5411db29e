"""Training: from a configuration to checkpoints.

trainer       a whole run, from the configuration to its result
data          the training and validation data, checked and divided into batches
assembly      network, optimizer and step put together, and run on data
start         where the weights of a run come from, and its folder
summary       the lines that are printed before the first step
loop          steps, reports, validation, checkpoints
train_step    one optimizer step on the device, in compiled pieces
optimizer     Adam, LAMB and momentum
loss_scale    static and dynamic loss scaling
validation    perplexity and ROUGE during training
divergence    the error that explains a loss that is not finite
"""
