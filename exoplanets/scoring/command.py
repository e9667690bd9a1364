"""Score the light curves of your own stars with a trained network; nothing is trained."""

import argparse
import contextlib
import heapq
import importlib.util
import itertools
import os
from pathlib import Path

from exoplanets.commands.options import ROOT, add_directories, make_reader
from exoplanets.files import DataError, atomic_write, quiet, say

SHIPPED_MODEL = ROOT / "exoplanets" / "classifiers" / "pretrained" / "transit.keras"
CAMPAIGN_FILE = "campaign.npz"  # in --data-dir, what `--campaign learn` keeps
N_PRINTED = 20  # stars, the highest-scored first
LONGEST_NAME = 44  # characters of a name in the table that is printed
PRINTED = {  # column: its width and its digits
    "score": (8, 3),
    "probability": (11, 3),
    "called": (6, 0),
    "period_days": (11, 4),
    "depth_ppm": (9, 0),
    "snr": (7, 1),
}
EPILOG = """
examples:
  python cnn_classifier.py --predict my_star.fits folder/ "more/*.csv"
  python cnn_classifier.py --predict folder/ --plots --search-all --output mine.csv

A star is called a host if its score is at least the network's threshold. The file of scores holds
the stars of this command; those that were scored before are not scored again.
Exit code: 0 all stars were scored, 1 some stars, or all, could not be, 2 the command could not be
carried out, 130 interrupted.
"""

parse_share = make_reader(float, lambda x: 0 < x < 1, "share between 0 and 1, such as 0.01")


def is_wanted(argv):
    """Whether a command line asks for this program."""
    return any(argument.partition("=")[0] == "--predict" for argument in argv)


def make_command_line():
    """The parser of this program."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--predict", nargs="*", metavar="FILE", help="files, folders or globs of light curves")
    add("--output", type=Path, metavar="CSV", help="scores (default: scores.csv in --data-dir)")
    pages = "draw a page about each star, and an index.html; searches all"
    add("--plots", action="store_true", help=pages)
    add("--search-all", action="store_true", help="find periods of all stars, not only of hosts")
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
    add("--model", type=Path, metavar="KERAS", help="network (default: transit.keras in --data-dir,"
        " or the one that comes with the repository)")  # fmt: skip
    add("--dask", metavar="ADDRESS", help="score on the workers of this Dask scheduler")
    add_directories(parser)
    return parser


def choose_model(args):
    """The network's file: as given, that of the last training, or the shipped one."""
    if args.model is None:
        own = args.data_dir / "transit.keras"
        return own if own.exists() else SHIPPED_MODEL
    if not args.model.is_file():
        raise DataError(f"'{args.model}' is missing: give another --model, or leave it out")
    return args.model


def make_text_table(rows):
    """The printed table of some rows, with the columns of `PRINTED`; "-" where nothing is known."""
    heads = (f"  {name:>{width}}" for name, (width, _) in PRINTED.items())
    lines = [f"{'name':{LONGEST_NAME}}{''.join(heads)}"]
    for cells in rows:
        name = cells["name"]
        if len(name) > LONGEST_NAME:  # its end tells more than its beginning
            name = "..." + name[3 - LONGEST_NAME :]
        texts = (f"  {_format_cell(cells, column):>{PRINTED[column][0]}}" for column in PRINTED)
        lines.append(f"{name:{LONGEST_NAME}}{''.join(texts)}")
    return "\n".join(lines)


def _format_cell(cells, column):
    """A cell as it is printed: fewer digits than the file has."""
    if column == "called":
        return "host" if cells[column] == "1" else "no"
    return f"{float(cells[column]):.{PRINTED[column][1]}f}" if cells[column] else "-"


def score_stars(args, model):
    """Score the stars of the command line; returns how many files and stars could not be scored.

    Prints the highest-scored ones, and what could not be scored.
    """
    output = args.output or args.data_dir / "scores.csv"
    files, unreadable = find_light_curves(args, output)
    # Here, for they take seconds: the options and the paths have been checked by now.
    from tqdm import tqdm

    with quiet():
        from exoplanets.scoring import cluster, own_stars, prediction, score_file
    from exoplanets.scoring.own_stars import Unreadable

    network = prediction.load_network(model)
    job = prediction.Job(args.search_all or args.plots, args.prevalence, args.magnitudes)
    targets = own_stars.group_files(files)
    if args.campaign:
        job = find_campaign(args, targets, job)
    tasks = prediction.make_tasks(targets)
    best, n_scored, n_known = [], 0, 0
    with score_file.open_scores(output, network.name, job.campaign_name) as scores:
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
                for cells, is_new in rows:
                    best.append(cells)
                    n_known += not is_new
                    if args.plots:
                        scores.remember(cells)
                best = heapq.nlargest(N_PRINTED, best, key=lambda cells: float(cells["score"]))
                n_scored += len(rows)
                bar.update(len(rows))
    for line in own_stars.summarise_unreadable(unreadable):
        say(line)
    print_result(best, n_scored, n_known, len(unreadable), output)
    if args.plots:
        write_pages(targets, network, job, scores.known, args.plots_dir / "stars")
    return len(unreadable)


def find_light_curves(args, output):
    """The files that the command line names, and an `Unreadable` for each path that has none.

    What this program wrote itself is left out. DataError if nothing is left.
    """
    from exoplanets.scoring import own_stars, score_file

    campaigns = filter(is_campaign, (args.data_dir / CAMPAIGN_FILE, args.campaign or ""))
    # Unlike Path.resolve, os.path.realpath does not stop at a link to itself.
    ours = set(map(os.path.realpath, (output, *score_file.name_beside(output), *campaigns)))
    found, unreadable = own_stars.find_files(args.predict)
    files = [file for file in found if os.path.realpath(file) not in ours]
    if not files:
        reasons = own_stars.summarise_unreadable(unreadable)
        if found:
            reasons.append(f"'{found[0]}' was written by --predict itself: give light curves")
        raise DataError("; ".join(reasons))
    return files, unreadable


def is_campaign(path):
    """Whether a file is there that `--campaign learn` wrote."""
    from exoplanets.scoring.own_campaign import OwnCampaign

    with contextlib.suppress(DataError):
        return bool(OwnCampaign.load(path))
    return False


def find_campaign(args, targets, job):
    """The stars' campaign, learnt or loaded, with the first digits of its file's SHA-256."""
    with quiet():
        from exoplanets.scoring import prediction
    from exoplanets.scoring.own_campaign import MOST_STARS, OwnCampaign, learn_own_campaign
    from exoplanets.scoring.own_stars import Star, read_stars

    path = Path(args.campaign)
    if args.campaign == "learn":
        path = args.data_dir / CAMPAIGN_FILE
        if os.path.lexists(path) and not is_campaign(path):
            raise DataError(
                f"'{path}' is no campaign, and --campaign learn would replace it: move it away, or "
                "give another --data-dir"
            )
        every = max(len(targets) // MOST_STARS, 1)  # a sample from all of them
        read = (read_stars(target, job.magnitudes) for target in targets[::every])
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
    return job._replace(campaign=campaign, campaign_name=prediction.name_file(path))


def print_result(best, n_scored, n_known, n_unreadable, output):
    """Print the highest-scored stars, and where the scores of all are."""
    if n_scored:
        print(make_text_table(best))
    rest = f" (the best {N_PRINTED} above)" if n_scored > N_PRINTED else ""
    before = f", {n_known} of them before" if n_known else ""
    failed = f"; {n_unreadable} could not be" if n_unreadable else ""
    print(f"{n_scored} star{'s' * (n_scored != 1)} scored{before}{failed}{rest}")
    if n_scored:
        print(f"results: {output}")


def write_pages(targets, network, job, known, folder):
    """Draw a page about every star that can be scored, and a gallery of them."""
    from tqdm import tqdm

    from exoplanets.figures.style import write_figure
    from exoplanets.scoring import examination, gallery, star_page

    drawn = []
    examined = examination.examine_targets(targets, network, job, known)
    for each in tqdm(examined, unit=" pages", desc="drawing", disable=None):
        page = star_page.name_page(each.star.name)
        write_figure(star_page.draw_star(each, network), folder / page)
        write_figure(star_page.draw_thumbnail(each), folder / gallery.THUMBNAILS / page)
        drawn.append(gallery.Drawn(page, each.cells, each.star.target))
    if drawn:
        with atomic_write(folder / "index.html") as temporary:
            temporary.write_text(gallery.make_gallery(drawn, network), encoding="utf-8")
        pages = "1 page" if len(drawn) == 1 else f"{len(drawn)} pages"
        print(f"{pages}: open {folder / 'index.html'}")


def main(argv=None):
    parser = make_command_line()
    args = parser.parse_args(argv)
    if not args.predict:
        parser.error("argument --predict: expected at least one argument")
    if args.dask and not importlib.util.find_spec("distributed"):
        raise DataError("--dask needs dask.distributed: pip install distributed")
    model = choose_model(args)
    say(f"scoring with the network of '{model}'")
    try:
        return 1 if score_stars(args, model) else 0
    except KeyboardInterrupt:
        say("interrupted: what was scored is kept, and the same command goes on from there")
        return 130
