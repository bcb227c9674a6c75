"""Mean and standard deviation of the training pixels of ImageNet and CIFAR-10.

Each has one number for each channel, R, G, B, for pixels from 0 to 1. Networks state them as the
statistics of the inputs that they expect, data sets as those of their images.
"""

# The figures with which torchvision normalizes. Photographs with no figures of their own take them.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Rounded to four digits: configurations name these digits as a color.
CIFAR10_MEAN = (0.4914, 0.4822, 0.4465)
CIFAR10_STD = (0.2470, 0.2435, 0.2616)
