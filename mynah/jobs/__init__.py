"""The only code that moves a job's state: submit, claim, run, complete, fail, cancel, sweep."""
