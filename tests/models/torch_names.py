"""Names and shapes of PyTorch's state dicts, as digests taken from the libraries themselves.

The digest is the SHA-256 (16 digits) of the sorted lines "name shape", without batch norms'
counters; made with torchvision 0.28.0 (segmentation: 0.29.1) and timm 1.0.31.
"""

# (source, our name, variant, overrides): number of arrays and digest; their name after it.
STATE_DICTS = {
    ("torchvision", "alexnet", "torchvision", ()): (16, "935c1ea73a7869ee"),
    ("torchvision", "vgg11", "torchvision", ()): (22, "b11acd4f90d9643f"),
    ("torchvision", "vgg11_bn", "torchvision", ()): (54, "eb52f2d89ad478d4"),
    ("torchvision", "vgg13", "torchvision", ()): (26, "79ca8fd7a1480aa7"),
    ("torchvision", "vgg13_bn", "torchvision", ()): (66, "e71996a6a29bacd7"),
    ("torchvision", "vgg16", "torchvision", ()): (32, "ba63c2556d912509"),
    ("torchvision", "vgg16_bn", "torchvision", ()): (84, "d8308b804a50efac"),
    ("torchvision", "vgg19", "torchvision", ()): (38, "393fac8b08b63fbe"),
    ("torchvision", "vgg19_bn", "torchvision", ()): (102, "8f342fea647d72df"),
    ("torchvision", "googlenet", "torchvision", ()): (305, "732f27ed6f1a18ed"),
    ("torchvision", "googlenet", "torchvision", (("aux_heads", False),)): (287, "b2fadd85b321b7a9"),
    ("torchvision", "inception_v3", "torchvision", ()): (484, "b57ada785681682b"),
    ("torchvision", "resnet18", "torchvision", ()): (102, "2bb53b15765c4651"),
    ("torchvision", "resnet34", "torchvision", ()): (182, "b945021fb00b779b"),
    ("torchvision", "resnet50", "torchvision", ()): (267, "cf11dad974eadeaa"),
    ("torchvision", "resnet101", "torchvision", ()): (522, "d916ed2068e1af5d"),
    ("torchvision", "resnet152", "torchvision", ()): (777, "2fe195791c8ffb5f"),
    ("torchvision", "wide_resnet50_2", "torchvision", ()): (267, "5b22ca8fa50e0423"),
    ("torchvision", "wide_resnet101_2", "torchvision", ()): (522, "c1f0689a35d4d3f6"),
    ("torchvision", "resnext50_32x4d", "torchvision", ()): (267, "f6c1ee50d9878439"),
    ("torchvision", "densenet121", None, ()): (606, "222a58d1fd8d2818"),
    ("torchvision", "densenet161", None, ()): (806, "9d03c4eb4e4ceb81"),
    ("torchvision", "densenet169", None, ()): (846, "a9eb5c1c253d9342"),
    ("torchvision", "densenet201", None, ()): (1006, "aaf6c59d276cc495"),
    ("torchvision", "mobilenet_v2", None, ()): (262, "d613ea65450d5318"),
    ("torchvision", "mobilenet_v2_075", None, ()): (262, "22774a7caf620a6d"),
    ("torchvision", "mobilenet_v2_140", None, ()): (262, "a5c46a0b887763f4"),
    ("torchvision", "squeezenet1_0", None, ()): (52, "142983e4c19c76ad"),
    ("torchvision", "squeezenet1_1", None, ()): (52, "3fbd2a746421cada"),
    ("torchvision", "fcn_resnet50", "torchvision", ()): (279, "d9e351b7fb37aa4a"),
    ("torchvision", "fcn_resnet50", "torchvision", (("aux_heads", False),)): (
        272,
        "589ef230b31c48a9",
    ),
    ("timm", "vgg11", None, ()): (22, "9d751f373c3ee1f4"),
    ("timm", "vgg16_bn", None, ()): (84, "0f2224040ddfa5a1"),
    ("timm", "resnet34", "torchvision", ()): (182, "b945021fb00b779b"),
    ("timm", "resnet50", "torchvision", ()): (267, "cf11dad974eadeaa"),
    ("timm", "inception_v3", "torchvision", (("aux_heads", False),)): (472, "5beceaea5a4204b9"),
    ("timm", "densenet121", None, ()): (606, "222a58d1fd8d2818"),
    ("timm", "mobilenet_v2", None, ()): (262, "5a95ee06712e31e9"),  # mobilenetv2_100
    ("timm", "mobilenet_v2_035", None, ()): (262, "ed816f9042b21a34"),  # mobilenetv2_035
    ("timm", "mobilenet_v2_050", None, ()): (262, "36938b01e146a8ca"),  # mobilenetv2_050
    ("timm", "mobilenet_v2_140", None, ()): (262, "cd6c57550c255624"),  # mobilenetv2_140
    ("timm", "preact_resnet50", "timm", ()): (251, "006195ff3e60c01e"),  # resnetv2_50
    ("timm", "preact_resnet101", "timm", ()): (506, "f5213786ed3d1616"),  # resnetv2_101
    ("timm", "preact_resnet152", "timm", ()): (761, "b788b49f5c477d0b"),  # resnetv2_152
    ("timm", "preact_resnet50", "timm", (("bottleneck", False), ("blocks", (2, 2, 2, 2)))): (
        90,
        "1257e23959a979a8",
    ),  # resnetv2_18
}
