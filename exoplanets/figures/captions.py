"""What each figure shows and what to read in it: one text for `plots/index.html` and the README.

Per figure (the file's name without `.png`): the script that draws it, and its caption.
"""

CAPTIONS = {
    "starfluxspectra": (
        1,
        "Light curves of three hosts and three non-hosts, as distributed. Stars differ in scale by "
        "a factor of ten thousand, and in most hosts no transit is visible by eye.",
    ),
    "pairplot": (
        2,
        "The first five fluxes of every training star against each other. Neighbouring fluxes are "
        "almost equal, and the two classes lie on top of each other.",
    ),
    "pairplot_out": (
        2,
        "The same figure without the outlier stars. Nothing else changes: the outliers were not "
        "what keeps the classes together.",
    ),
    "kde1plot": (
        2,
        "Distribution of the first flux in each class, outlier stars removed. The classes overlap: "
        "a single flux does not tell a host.",
    ),
    "clock": (
        2,
        "The lost clock. Counted by column, hosts and non-hosts drift apart in time. On the clock "
        "the same moments are noisy in both, and a fold at the true period becomes sharp.",
    ),
    "leaks": (
        2,
        "ROC AUC of numbers that have nothing to do with transits. Right of 0.5 a number tells "
        "hosts. As distributed several do so almost perfectly; equalised, none may.",
    ),
    "spectra_gausSS": (
        3,
        "The stars of the first figure, smoothed along time and scaled to one standard deviation.",
    ),
    "CMtrain": (
        4,
        "Confusion matrix of the study's network on the fit stars after balancing. Hosts made by "
        "SMOTE are counted here, so this figure says nothing about new stars.",
    ),
    "CMtest": (
        4,
        "Confusion matrix of the study's network on the test stars, light curves as distributed. "
        "The leaks are still in: do not cite it as skill.",
    ),
    "Trainevo": (
        4,
        "Training of the study's network, epoch by epoch. The weights of the epoch with the lowest "
        "validation loss are kept.",
    ),
    "CMtest_transit": (
        4,
        "Confusion matrix of the transit network on the test stars, equalised light curves. This "
        "is the network's own result, on few hosts.",
    ),
    "precision_recall": (
        4,
        "Precision against recall on the test stars. The grey line is what guessing gives.",
    ),
    "top_candidates": (
        4,
        "The highest-scored test stars, folded at the period of the box search. A dip in a "
        "non-host makes its label suspect.",
    ),
    "injection_recovery": (
        4,
        "Completeness: planets injected into stars that taught nothing, and the share recovered, "
        "by signal-to-noise ratio and by period and size.",
    ),
    "reliability": (
        4,
        "Reliability: the same stars upside down, with their dips masked, and shuffled. A network "
        "that finds transits loses its skill there; one that keeps it has found a leak.",
    ),
    "occlusion": (
        4,
        "Where the score comes from: colour shows how far it falls when a stretch of time is "
        "hidden. Triangles mark the transits.",
    ),
    "calibration": (
        4,
        "Whether a score is a probability, before and after calibration. Points on the diagonal "
        "are right.",
    ),
}
