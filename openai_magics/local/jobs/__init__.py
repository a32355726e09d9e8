"""Fine-tuning jobs of this machine: what is on the disk, and the queue that works on it.

``store`` has the folder, ``files`` what was uploaded, ``job`` one job, ``create`` checks a new
one, ``queue`` (a process of its own, which outlives the kernel) runs them one after the other.
"""
