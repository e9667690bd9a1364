"""What each figure shows and what to read in it: one text for `plots/index.html` and the README.

Per script, and per figure that it draws (the file's name without `.png`): its caption.
"""

CAPTIONS = {
    "1. What the stars look like": {
        "starfluxspectra": "Light curves of three hosts and three non-hosts, as distributed. Stars "
        "differ in scale by a factor of ten thousand, and in most hosts no transit is visible by "
        "eye.",
    },
    "2. What is wrong with the data": {
        "pairplot": "The first five fluxes of every training star against each other. Neighbouring "
        "fluxes are almost equal, and the two classes lie on top of each other.",
        "pairplot_out": "The same figure without the outlier stars. Nothing else changes: the "
        "outliers are not the reason why the classes overlap.",
        "kde1plot": "Distribution of the first flux in each class, outlier stars removed. The "
        "classes overlap: a single flux cannot separate hosts from non-hosts.",
        "clock": "The lost clock. Counted by column, hosts and non-hosts drift apart in time. On "
        "the clock both are noisy at the same moments, and a fold at the true period becomes "
        "sharp.",
        "leaks": "ROC AUC of numbers that have nothing to do with transits. At 0.5 a number tells "
        "nothing; at 1 it separates all hosts from all non-hosts. As distributed, several come "
        "close to 1. Equalised, L1 to L5 must be near 0.5.",
    },
    "3. What the network may see": {
        "spectra_gausSS": "The stars of the first figure, smoothed along time and scaled to one "
        "standard deviation.",
    },
    "4. What the networks find": {
        "CMtrain": "Confusion matrix of the study's network on the fit stars after balancing. "
        "Hosts made by SMOTE are counted here, so this figure says nothing about new stars.",
        "CMtest": "Confusion matrix of the study's network on the test stars, light curves as "
        "distributed. The leaks are still in: do not cite it as skill.",
        "Trainevo": "Training of the study's network, epoch by epoch. The weights of the epoch "
        "with the lowest validation loss are kept.",
        "CMtest_transit": "Confusion matrix of the transit network on the test stars, equalised "
        "light curves. This is the network's own result, on few hosts.",
        "precision_recall": "Precision against recall on the test stars. The grey line is what "
        "guessing gives.",
        "top_candidates": "The highest-scored test stars, folded at the fitted period, with the "
        "transit model and the verdict. The label of a non-host is suspect if clear transits or "
        "eclipses were measured in it.",
        "injection_recovery": "Completeness: planets injected into stars that taught nothing, and "
        "the share recovered. Left: what a lower threshold gains and what it costs. Right: by "
        "signal-to-noise ratio, at the tuned threshold and at 1 % false alarms.",
        "verdicts": "Planets or two stars: what simulated planets and eclipsing binaries in stars "
        "that taught nothing are taken for. Green is right, orange is wrong, grey commits to "
        "neither.",
        "reliability": "Reliability: the same stars upside down, with their dips masked, and "
        "shuffled. A network that sees transits loses its skill there; one that keeps its "
        "skill uses a leak.",
        "occlusion": "Where the transit score comes from: colour shows how far it falls when a "
        "stretch of time is hidden. Triangles mark the fitted transits.",
        "calibration": "Whether a score is a probability, before and after calibration. On the "
        "diagonal, as many stars are hosts as the probability says. The Brier scores say whether "
        "calibration helped.",
    },
}
