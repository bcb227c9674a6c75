"""Ten questions that a newcomer asks, and the file whose name answers each."""

import ast
from pathlib import Path

ANSWERS = (
    (
        "Where is the gradient of max pooling?",
        "cnnjax/ops/pool/max_pool.py",
        "max_windows_input_grad",
    ),
    ("Where is a convolution's gradient for its kernel?", "cnnjax/ops/conv/grads.py", ""),
    ("Where is the residual block of a ResNet?", "cnnjax/models/blocks/residual.py", "BasicBlock"),
    ("Where is the checkpoint written?", "cnnjax/training/folder/checkpoints.py", "Checkpoints"),
    ("What do I change to add an optimizer?", "cnnjax/recipes/optimizers.py", "OPTIMIZERS"),
    ("Where are images turned and cropped?", "cnnjax/data/augment/geometry.py", ""),
    ("Where are JPEG files decoded?", "cnnjax/data/read/decode.py", ""),
    ("Where are multiply-adds counted?", "cnnjax/analysis/cost/multiply_adds.py", "multiply_adds"),
    ("Where is one training step?", "cnnjax/training/step/step.py", "train_step"),
    ("What runs when I type `cnnjax predict`?", "cnnjax/commands/predict.py", "main"),
)
"""Questions, files, and names that the files define where the file's name alone is no proof."""


def check_answers(checkout: Path) -> None:
    """Compares the answers with the files.

    Args:
        checkout: the root of the checkout.

    Raises:
        ValueError: a file is gone, or defines the name no more.
    """
    for question, file, name in ANSWERS:
        path = checkout / file
        if not path.is_file():
            raise ValueError(f"{question} {file} is gone; name the file that answers it")
        if name and name not in _defined(path):
            raise ValueError(f"{question} {file} does not define {name}; name what does")


def _defined(path: Path) -> set[str]:
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign):
            found |= {each.id for each in node.targets if isinstance(each, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
    return found
