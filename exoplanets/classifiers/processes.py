"""Stars side by side in processes.

What a search does to a few light curves is thousands of short operations of NumPy. Threads would
spend their time handing the interpreter to one another: two are hardly faster than one.
"""

import multiprocessing

import joblib


def map_in_processes(function, tasks):
    """Call a function of a module on each task, on all cores, in order; returns a list.

    A single task is done here, and so are all in a process that may not start others.
    """
    tasks = list(tasks)
    if len(tasks) < 2 or multiprocessing.current_process().daemon:
        return [function(task) for task in tasks]
    with joblib.Parallel(n_jobs=-1, max_nbytes=None) as pool:
        return pool(joblib.delayed(function)(task) for task in tasks)
