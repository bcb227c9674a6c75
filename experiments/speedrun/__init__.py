"""CIFAR-10 to 94 % as fast as possible: the parts of `experiments.cifar10_speedrun`."""
