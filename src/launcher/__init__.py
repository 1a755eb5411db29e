"""What scripts/run_*.sh and scripts/stop_training.sh do: plan the processes of a run, start, watch and stop them.

Nothing here imports MindSpore, so that mistakes are told at once; the processes it starts do.
"""
