"""A configuration of LeNet-5 on few digits: two steps an epoch, three epochs."""

TINY = {
    "model": {"name": "lenet5"},
    "data": {
        "resize": 16,
        "batch_size": 64,
        "augmentation": "shift(1)",
        # 128 examples to train on; the others are evaluated.
        "validation_examples": 1309,
    },
    "optimizer": {"name": "adam", "learning_rate": 0.003},
    "epochs": 3,
}
