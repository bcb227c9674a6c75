"""Write a run's report.html anew, or a page of a network and a few images.

cnnjax report --workdir=runs/digits

Of a run, the page shows what training's own report shows, and in addition what each layer costs and
sees, what the network looks at, its accuracy on moved, turned and scaled images, and its signals by
depth. With images, it shows a network without its run: its cost, its first-layer kernels, and for
each image the prediction and where the network looks.

cnnjax report --model=resnet50 --weights=resnet50.safetensors --output=page.html photo.jpg
cnnjax report --workdir=runs/digits --output=page.html --invert digit.jpg
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from cnnjax import inference, reports, training
from cnnjax.commands.flags import networks
from cnnjax.commands.flags.data_dir import read_data_dir
from cnnjax.commands.flags.reading import read_options
from cnnjax.commands.launch import check_report_packages, launch
from cnnjax.training.folder.check import check_writable

_ANALYSIS = flags.DEFINE_boolean(
    "analysis", True, "Analyze the network of a run; it takes a minute or so."
)
_OUTPUT = flags.DEFINE_string("output", None, "HTML file for the page of a network and images.")
_INVERT = flags.DEFINE_boolean("invert", False, "Swap light and dark in the images.")


def main(arguments: Sequence[str]) -> None:
    """Writes the page and prints its path.

    Args:
        arguments: the program's name, and the images and folders for a page of a network.
    """
    check_report_packages()
    images = arguments[1:]
    if images or networks.names_weights():
        print(_network_page(images))
        return
    # Refused, since such a flag would change nothing.
    for name in ("output", "invert"):
        if flags.FLAGS[name].present:
            raise training.ConfigError(
                f"--{name}: it is for a page of images, and no image was given; name one or more "
                "image files or folders, or leave it out"
            )
    folder, step = networks.one_checkpoint()
    # Before the analysis, which takes a minute.
    if Path(folder).is_dir():
        check_writable(Path(folder))
    page = reports.write_report(
        folder,
        step=step,
        analysis=_ANALYSIS.value,
        data_dir=read_data_dir(),
        read=read_options(),
        run=networks.run_path(),
    )
    print(page)


def _network_page(given: Sequence[str]) -> Path:
    if not given:
        raise training.ConfigError("no image was given; name one or more image files or folders")
    if not _OUTPUT.value:
        raise training.ConfigError("--output: name the HTML file to write, --output=page.html")
    if flags.FLAGS["analysis"].present:
        raise training.ConfigError("--analysis: it is for a run's page; leave it out beside images")
    output = inference.check_output(_OUTPUT.value, [".html"])
    paths = inference.find_images(given)
    read = read_options()
    inference.check_images(paths, read.max_pixels)
    network = networks.read_network(read)
    images = {
        str(file.path): file.image
        for file in inference.read_images(paths, network.form, _INVERT.value, read.max_pixels)
        if file.image is not None
    }
    return reports.write_network_page(network, images, output)


def run() -> None:
    """Runs the command on the process's own arguments."""
    launch(main)
