"""Score the light curves of your own stars with a trained network; nothing is trained."""

import argparse
import contextlib
import csv
import heapq
import importlib.util
import itertools
import os
import sys
from pathlib import Path

from exoplanets.commands.options import (
    ROOT,
    VERSION,
    add_directories,
    begin,
    make_reader,
    parse_positive,
)
from exoplanets.files import DataError, atomic_write, run, say

SHIPPED_MODEL = Path(__file__).parents[1] / "classifiers" / "pretrained" / "transit.keras"
CAMPAIGN_FILE = "campaign.npz"  # in --data-dir, what `--campaign learn` keeps
N_PRINTED = 20  # stars, the highest-scored first
LONGEST_NAME = 40  # characters of a name in the table that is printed
PRINTED = {  # column: its width and its digits
    "score": (8, 3),
    "probability": (11, 3),
    "called": (6, 0),
    "verdict": (16, 0),
    "period_days": (11, 4),
    "depth_ppm": (9, 0),
    "snr": (7, 1),
}
EPILOG = """
examples:
  {command} my_star.fits folder/ "more/*.csv"
  {command} folder/ --plots --search-all --output mine.csv

A star is called a host if its score is at least the network's threshold. The file of scores holds
the stars of this command; those that were scored before are not scored again.
Exit code: 0 all stars were scored, 1 some stars, or all, could not be, 2 the command could not be
carried out, 130 interrupted.
"""

parse_share = make_reader(float, lambda x: 0 < x < 1, "share between 0 and 1, such as 0.01")


def is_wanted(argv):
    """Whether a command line asks for this program."""
    return any(argument.partition("=")[0] == "--predict" for argument in argv)


def make_command_line(installed=False):
    """The parser of this program; `installed` tells that it is the command `exoplanets`."""
    command = "exoplanets" if installed else "python cnn_classifier.py --predict"
    parser = argparse.ArgumentParser(
        prog="exoplanets" if installed else None,
        description=__doc__,
        epilog=EPILOG.format(command=command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    files = "files, folders or globs of light curves"
    add("predict" if installed else "--predict", nargs="*", metavar="FILE", help=files)
    add("--version", action="version", version=VERSION)
    add("--output", type=Path, metavar="CSV", help="scores (default: scores.csv in --data-dir)")
    add("--errors", type=Path, metavar="CSV", help="write what could not be scored, and why")
    pages = "draw a page about each star, and an index.html; searches all"
    add("--plots", action="store_true", help=pages)
    add("--search-all", action="store_true", help="find periods of all stars, not only of hosts")
    planets = "look for up to N signals a star; writes signals.csv, transit_times.csv"
    add("--planets", type=parse_positive, metavar="N", help=planets)
    add("--folds", action="store_true", help="write the folded light curves into the folder folds")
    add(
        "--prevalence",
        type=parse_share,
        metavar="SHARE",
        help="share of hosts among such stars, for the probability (default: as the network's)",
    )
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--magnitudes", action="store_true", help="columns hold magnitudes")
    kind.add_argument("--flux", action="store_false", dest="magnitudes", help="columns hold flux")
    parser.set_defaults(magnitudes=None)  # neither
    add(
        "--campaign",
        metavar="learn|FILE",
        help="take out what stars observed together share: learn it from these stars, 50 or more, "
        "and keep it in campaign.npz in --data-dir, or use such a file",
    )
    network = (
        "network (default: transit.keras in --data-dir, unless simulated stars taught it; else the "
        "one that comes with the repository)"
    )
    add("--model", type=Path, metavar="KERAS", help=network)
    add("--dask", metavar="ADDRESS", help="score on the workers of this Dask scheduler")
    add_directories(parser)
    if not (
        ROOT / "cnn_classifier.py"
    ).is_file():  # installed: the user's folder is the current one
        parser.set_defaults(data_dir=Path("data"), plots_dir=Path("plots"))
    return parser


def choose_model(args):
    """The network's file: as given, that of the last training on real stars, or the shipped one."""
    from exoplanets.scoring.network import is_simulated, read_scoring

    if args.model is not None:
        if not args.model.is_file():
            raise DataError(f"'{args.model}' is missing: give another --model, or leave it out")
        return args.model
    own = args.data_dir / "transit.keras"
    if not own.exists():
        return SHIPPED_MODEL
    if is_simulated(read_scoring(own)["trained_on"]):
        say(
            f"'{own}' was trained on simulated stars, so it is not used: --model {own} would use it"
        )
        return SHIPPED_MODEL
    return own


def describe_model(path):
    """A model file and what its network was trained on, in words."""
    from exoplanets.scoring.network import read_scoring
    from exoplanets.stars import describe

    trained_on = read_scoring(path)["trained_on"]
    data = describe(trained_on) if trained_on else "light curves that its file does not name"
    return f"the network of '{path}', trained on: {data}"


def make_text_table(results):
    """The printed table of some `Result`: the columns of `PRINTED`, "-" for what is not known."""
    heads = (f"  {name:>{width}}" for name, (width, _) in PRINTED.items())
    lines = [f"{'name':{LONGEST_NAME}}{''.join(heads)}"]
    for result in results:
        name = result.name
        if len(name) > LONGEST_NAME:  # its end tells more than its beginning
            name = "..." + name[3 - LONGEST_NAME :]
        texts = (f"  {_show_number(result, column):>{PRINTED[column][0]}}" for column in PRINTED)
        lines.append(f"{name:{LONGEST_NAME}}{''.join(texts)}")
    return "\n".join(lines)


def _show_number(result, column):
    """A number as it is printed: with fewer digits than the file has."""
    value = getattr(result, column)
    if column == "called":
        return "host" if value else "no"
    if column == "verdict":
        return value
    return "-" if value != value else f"{value:.{PRINTED[column][1]}f}"


def score_stars(args, model):
    """Score the stars of the command line; returns how many files and stars could not be scored.

    Prints the highest-scored ones, and what could not be scored.
    """
    output = args.output or args.data_dir / "scores.csv"
    files, unreadable = find_light_curves(args, output)
    # Here, for they take seconds: the options and the paths have been checked by now.
    from tqdm import tqdm

    from exoplanets.scoring import cluster, own_stars, prediction, score_file, signal_files
    from exoplanets.scoring.network import load_network
    from exoplanets.scoring.own_stars import Unreadable

    network = load_network(model)
    job = prediction.Job(
        search_all=args.search_all or args.plots,
        prevalence=args.prevalence,
        magnitudes=args.magnitudes,
        planets=args.planets or 1,
        keep_star=bool(args.planets or args.folds),
    )
    targets = own_stars.group_files(files)
    if args.campaign:
        job = find_campaign(args, targets, job)
    tasks = prediction.make_tasks(targets)
    best, n_scored, n_known = [], 0, 0
    about_signals = output, bool(args.planets), args.folds
    with (
        score_file.open_scores(output, network.name, job.campaign_name) as scores,
        signal_files.open_signal_files(*about_signals) as write_signals,
    ):
        if args.dask:
            shared = model.read_bytes(), job, scores.known
            blocks = cluster.map_on_cluster(args.dask, prediction.score_task, tasks, *shared)
        else:
            read = itertools.chain.from_iterable(prediction.read_task(task, job) for task in tasks)
            blocks = prediction.score_blocks(read, network, job, scores.known)
        with tqdm(unit=" stars", desc="scoring", mininterval=0.5, disable=None) as bar:
            for block in blocks:
                rows = [row for row in block if not isinstance(row, Unreadable)]
                unreadable += [row for row in block if isinstance(row, Unreadable)]
                scores.write(rows)
                for result, is_new in rows:
                    write_signals(result)
                    best.append(result)
                    n_known += not is_new
                    if args.plots:
                        scores.remember(result)
                best = heapq.nlargest(N_PRINTED, best, key=lambda result: result.score)
                n_scored += len(rows)
                bar.update(len(rows))
    n_failed = len(unreadable)
    pages, undrawn = [], []
    if args.plots:
        about_pages = targets, network, job, scores.known
        pages, undrawn = write_pages(*about_pages, args.plots_dir / "stars")
    for line in own_stars.summarise_unreadable(unreadable + undrawn):
        say(line)
    if args.errors:
        write_errors(args.errors, unreadable + undrawn)
    # Last, for standard output may be closed by now: all files are written.
    print_result(best, n_scored, n_known, n_failed, network.threshold)
    print_places(n_scored and output, len(pages), args.plots_dir / "stars")
    return n_failed + len(undrawn)


def find_light_curves(args, output):
    """The files that the command line names, and an `Unreadable` for each path that has none.

    What this program wrote itself is left out. DataError if nothing is left.
    """
    from exoplanets.scoring import own_stars, score_file, signal_files

    campaigns = filter(is_campaign, (args.data_dir / CAMPAIGN_FILE, args.campaign or ""))
    *tables, folds = signal_files.name_signal_files(output)
    written = output, *score_file.name_beside(output), *tables, *filter(None, [args.errors])
    # Unlike Path.resolve, os.path.realpath does not stop at a link to itself.
    ours = set(map(os.path.realpath, (*written, *campaigns)))

    def is_ours(file):
        real = os.path.realpath(file)
        return real in ours or os.path.dirname(real) == str(folds)

    found, unreadable = own_stars.find_files(args.predict)
    files = [file for file in found if not is_ours(file)]
    if not files:
        reasons = own_stars.summarise_unreadable(unreadable)
        if found:
            reasons.append(f"'{found[0]}' was written by --predict itself: give light curves")
        raise DataError("; ".join(reasons))
    return files, unreadable


def write_errors(path, unreadable):
    """Write what could not be scored, and why: a CSV of `name` and `reason`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        atomic_write(path) as temporary,
        open(temporary, "w", newline="", errors="replace") as file,
    ):
        csv.writer(file).writerows([("name", "reason"), *map(tuple, unreadable)])


def is_campaign(path):
    """Whether a file is there that `--campaign learn` wrote."""
    from exoplanets.scoring.own_campaign import OwnCampaign

    with contextlib.suppress(DataError):
        return bool(OwnCampaign.load(path))
    return False


def find_campaign(args, targets, job):
    """The stars' campaign, learnt or loaded, with the first digits of its file's SHA-256."""
    from exoplanets.scoring.network import name_file
    from exoplanets.scoring.own_campaign import MOST_STARS, OwnCampaign, learn_own_campaign
    from exoplanets.scoring.own_stars import Star
    from exoplanets.scoring.prediction import read_safely

    path = Path(args.campaign)
    if args.campaign == "learn":
        path = args.data_dir / CAMPAIGN_FILE
        if os.path.lexists(path) and not is_campaign(path):
            raise DataError(
                f"'{path}' is no campaign, and --campaign learn would replace it: move it away, or "
                "give another --data-dir"
            )
        every = max(len(targets) // MOST_STARS, 1)  # a sample from all of them
        read = (read_safely(target, job.magnitudes) for target in targets[::every])
        stars = (star for star in itertools.chain.from_iterable(read) if isinstance(star, Star))
        say("learning what the stars of the campaign share ...")
        campaign = learn_own_campaign(stars)
        path.parent.mkdir(parents=True, exist_ok=True)
        campaign.save(path)
    campaign = OwnCampaign.load(path)
    say(
        f"campaign of {campaign.n_stars} stars on one clock ({campaign.clock}), "
        f"{len(campaign.modes)} modes, and {campaign.crowded.sum()} cadences at which many stars "
        f"dim or brighten at once, which are left out: '{path}'"
    )
    return job._replace(campaign=campaign, campaign_name=name_file(path))


def print_result(best, n_scored, n_known, n_unreadable, threshold):
    """Print the highest-scored stars, and how many there are."""
    if n_scored:
        print(make_text_table(best))
    rest = f" (the best {N_PRINTED} above)" if n_scored > N_PRINTED else ""
    before = f", {n_known} of them before" if n_known else ""
    failed = f"; {n_unreadable} could not be" if n_unreadable else ""
    print(f"{n_scored} star{'s' * (n_scored != 1)} scored{before}{failed}{rest}")
    if n_scored:
        print(f"called hosts: score at least {threshold:.6g}")


def print_places(output, n_pages, folder):
    """Print where the scores and the pages are, if there are any."""
    if output:
        print(f"results: {output}")
    if n_pages:
        print(f"{n_pages} page{'s' * (n_pages != 1)}: open {folder / 'index.html'}")


def write_pages(targets, network, job, known, folder):
    """Draw a page about every star that can be scored, and a gallery of them.

    Returns a list of `gallery.Drawn`, and an `Unreadable` of each star that could not be drawn.
    """
    from tqdm import tqdm

    from exoplanets.figures.style import write_figure
    from exoplanets.scoring import examination, gallery, star_page
    from exoplanets.scoring.own_stars import Unreadable
    from exoplanets.scoring.prediction import explain
    from exoplanets.scoring.signal_files import name_page

    drawn, undrawn = [], []
    job = job._replace(planets=1, keep_star=False)  # a page is about the clearest signal
    examined = examination.examine_targets(targets, network, job, known)
    for each in tqdm(examined, unit=" pages", desc="drawing", disable=None):
        if isinstance(each, Unreadable):
            undrawn.append(each)
            continue
        page = f"{name_page(each.star.name)}.png"
        try:
            write_figure(star_page.draw_star(each, network), folder / page)
            write_figure(star_page.draw_thumbnail(each), folder / gallery.THUMBNAILS / page)
        except Exception as error:
            undrawn.append(Unreadable(each.star.file, explain("drawn", error)))
            continue
        drawn.append(gallery.Drawn(page, each.result, each.star.target))
    if drawn:
        with atomic_write(folder / "index.html") as temporary:
            temporary.write_text(gallery.make_gallery(drawn, network), encoding="utf-8")
    return drawn, undrawn


def main(argv=None, installed=False):
    parser = make_command_line(installed)
    args = parser.parse_intermixed_args(argv) if installed else parser.parse_args(argv)
    if not args.predict:
        name = "FILE" if installed else "--predict"
        parser.error(f"argument {name}: expected at least one argument")
    if args.dask and not importlib.util.find_spec("distributed"):
        raise DataError("--dask needs dask.distributed: pip install distributed")
    model = choose_model(args)
    say(f"scoring with {describe_model(model)}")
    try:
        return 1 if score_stars(args, model) else 0
    except KeyboardInterrupt:
        say("interrupted: what was scored is kept, and the same command goes on from there")
        return 130


def main_installed():
    """The command `exoplanets`: what `python cnn_classifier.py --predict` does."""
    begin(lambda: make_command_line(installed=True), knows_all=False)
    run(lambda: main(sys.argv[1:], installed=True))
