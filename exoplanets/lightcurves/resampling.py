"""The balancing of the published study: SMOTE, then random under-sampling."""

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler

SMOTE_NEIGHBORS = 5


def balance(x, y, seed, smote, undersampling):
    """Balance a training set as the published study does.

    SMOTE (Chawla et al. 2002, JAIR 16, 321) makes hosts, each between a host and one of its five
    nearest, up to `smote` hosts per non-host; random under-sampling then drops non-hosts until
    there are `undersampling` hosts per non-host. A step whose aim is already met is skipped: what
    was balanced once stays as it is.

    Light curves `x` have the shape (n_stars, n_cadences), labels `y` (n_stars,), 1 for a host, 0
    for a non-host. Returns both; of each star its index in the input, -1 for a host that SMOTE
    made; and a list of str, what was skipped or lowered, and why.
    """
    notes = []
    source = np.arange(len(y))
    n_hosts, n_others = int(np.sum(y == 1)), int(np.sum(y == 0))
    neighbors = min(SMOTE_NEIGHBORS, n_hosts - 1)
    if int(n_others * smote) <= n_hosts:
        notes.append(
            f"SMOTE skipped: {n_hosts} hosts are already 1 per {1 / smote:g} of "
            f"{n_others} non-hosts"
        )
    elif neighbors < 1:
        notes.append("SMOTE skipped: it interpolates between hosts, and there is only one")
    else:
        if neighbors < SMOTE_NEIGHBORS:
            notes.append(f"SMOTE neighbours lowered to {neighbors}: there are only {n_hosts} hosts")
        sampler = SMOTE(sampling_strategy=smote, k_neighbors=neighbors, random_state=seed)
        x, y = sampler.fit_resample(x, y)
        source = np.concatenate([source, np.full(len(y) - len(source), -1)])  # made ones come last
    n_hosts = np.sum(y == 1)
    if n_hosts >= n_others * undersampling:
        notes.append(
            f"under-sampling skipped: {n_hosts} hosts are already 1 per {1 / undersampling:g} of "
            f"{n_others} non-hosts"
        )
    else:
        sampler = RandomUnderSampler(sampling_strategy=undersampling, random_state=seed)
        sampler.fit_resample(np.zeros((len(y), 1)), y)
        kept = np.sort(sampler.sample_indices_)
        x, y, source = x[kept], y[kept], source[kept]
    return x, y, source, notes
