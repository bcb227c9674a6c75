"""Names the classes of images: `python -m experiments.predict` is `cnnjax predict`."""

from cnnjax.commands.predict import run

if __name__ == "__main__":
    run()
