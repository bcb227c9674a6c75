"""Ready configurations of networks that predict a class for each pixel, or boxes."""
