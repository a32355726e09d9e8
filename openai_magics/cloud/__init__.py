"""A dialogue file in the cloud: any address that fsspec knows (``gs://``, ``s3://``, …).

What is recorded goes to a working copy on this machine first, with all that a dialogue file
promises; the copy is brought together with the one in the cloud at opening, in the
background, and at exit. What cannot be reached is said once and tried again later.
"""
