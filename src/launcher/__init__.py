"""Starting, watching and stopping the processes of a run, for scripts/run_*.sh and scripts/stop_training.sh.

Nothing here imports MindSpore, so that mistakes are reported at once; only the processes of the run import it.

options        the flags of run_*.sh
rank_table     the rank table of Ascend machines
plan           the processes of a run and their environment
launcher       starting a run in the foreground or the background
supervisor     running the processes of a plan to their end
log_follower   copying a growing log to the terminal
rank_wrapper   the process between msrun and train.py for each rank
processes      starting processes and describing how they ended
run_files      the files through which launcher, ranks and stop_training.sh communicate
stop           stopping a run
"""
