"""Step 3: what the network may see.

Takes the stars that step 2 made ready, removes outlier stars, relabels hosts 1 and non-hosts 0,
holds out validation stars, and passes the split on in two views: `distributed`, the flux as
distributed, balanced (SMOTE, random under-sampling) as in the published study, and `equalised`, the
same stars without any trace of how the files were made (`exoplanets/lightcurves/equalise.py`):

    python data_preprocessing.py
    python data_preprocessing.py --sigmas 30   # with an outlier rule other than step 2's

Writes `plots/spectra_gausSS.png` and `data/preprocessed_data.pkl` (`split.load_split` says what is
in it).
"""

from exoplanets.commands.options import add_outlier_options, begin, make_parser


def make_command_line():
    """Make the parser of this script."""
    parser = make_parser(__doc__)
    add_outlier_options(parser)
    return parser


if __name__ == "__main__":
    begin(make_command_line)  # --help and mistakes are answered before the slow imports

import numpy as np
from scipy.ndimage import gaussian_filter1d

from exoplanets.figures.light_curves import draw_light_curves, first_of_each
from exoplanets.figures.style import save_figure
from exoplanets.files import check_writable, run, say
from exoplanets.lightcurves.gaps import fill_gaps
from exoplanets.lightcurves.outliers import OutlierRule, read_rule
from exoplanets.lightcurves.prepared import prepare
from exoplanets.lightcurves.resampling import balance
from exoplanets.lightcurves.split import SPLIT_FILE, make_distributed, save_split, split_stars
from exoplanets.sources import kaggle
from exoplanets.stars import describe

SIGMAS, MIN_CADENCES = 60.0, 2  # the study's outlier rule, if step 2 was not run
SMOTE = 0.1  # hosts per non-host that SMOTE makes
UNDERSAMPLING = 0.2  # hosts per non-host that random under-sampling leaves
SMOOTHING_CADENCES = 3  # sigma of the figure's Gaussian filter, 1.5 hours


def choose_rule(args, provenance):
    """The outlier rule of step 2, but for what the command line asks for."""
    kept = read_rule(args.data_dir / "leaks.json", provenance)
    rule = kept or OutlierRule(SIGMAS, MIN_CADENCES)
    asked = {name: getattr(args, name) for name in rule._fields if getattr(args, name) is not None}
    rule = rule._replace(**asked)
    if kept not in (None, rule):
        say("the outlier rule asked for differs from that of step 2")
    return rule


def balance_fit_stars(view, seed):
    """The view `distributed` with its fit stars balanced, and what the balancing did not do.

    Validation and test stars stay as they are. The row of a host that SMOTE made is -1.
    """
    x, y, source, notes = balance(view["x_train"], view["y_train"], seed, SMOTE, UNDERSAMPLING)
    row = np.where(source >= 0, view["row_train"][source], -1)
    return view | {"x_train": x, "y_train": y, "row_train": row}, notes


def standard_scale(flux):
    """Each star minus its mean, over its standard deviation; 0 for a constant star."""
    flux = flux - flux.mean(axis=1, keepdims=True)
    scatter = flux.std(axis=1, keepdims=True)
    return flux / np.where(scatter > 0, scatter, 1)


def draw_smoothed(stars):
    """Draw three stars of each class, smoothed along time and scaled."""
    shown = stars.select(first_of_each(stars.is_host, 3))
    smoothed = gaussian_filter1d(fill_gaps(shown.flux), SMOOTHING_CADENCES, axis=1)
    title = "Gaussian filter along time (sigma 1.5 hours), then standard scaling"
    unit = "standard deviations of the star"
    return draw_light_curves(standard_scale(smoothed), shown.is_host, shown.row, title, unit=unit)


def print_classes(when, y):
    """Print how many stars of each class there are."""
    hosts, others = int(np.sum(y == 1)), int(np.sum(y == 0))
    print(f"{when}: {hosts} hosts, {others} non-hosts (1 per {others / max(hosts, 1):.1f})")


def print_split(stars, distributed, notes):
    """Print the class sizes of all parts, and what the balancing did not do."""
    print_classes("fit stars before balancing", stars.y[stars.split == "train"])
    for note in notes:
        print(f"  {note}")
    print_classes("fit stars after balancing", distributed["y_train"])
    print_classes("validation stars, held out before balancing", distributed["y_validation"])
    print_classes("test stars", distributed["y_test"])


def main(argv=None):
    args = make_command_line().parse_args(argv)
    figure_path, split_path = args.plots_dir / "spectra_gausSS.png", args.data_dir / SPLIT_FILE
    check_writable(figure_path, split_path)

    stars, provenance = kaggle.load(args.data_dir, args.simulated)
    print(f"data: {describe(provenance)}")
    prepared = prepare(stars, provenance, args.data_dir)
    rule = choose_rule(args, provenance)
    is_outlier = rule.find_in_training(prepared.stars)
    print("\n".join(prepared.describe() + rule.describe(prepared.stars, is_outlier)))
    train = prepared.stars.select(prepared.stars.table == "train")
    save_figure(draw_smoothed(train), figure_path, provenance)

    stars = split_stars(prepared.stars, is_outlier, args.seed)
    distributed, notes = balance_fit_stars(make_distributed(stars), args.seed)
    print_split(stars, distributed, notes)
    balancing = {"smote": SMOTE, "undersampling": UNDERSAMPLING}
    settings = {"seed": args.seed, **rule._asdict(), "balancing": balancing}
    save_split(split_path, provenance, settings, prepared.campaign, stars, distributed)
    print(f"split: {split_path}")


if __name__ == "__main__":
    run(main)
