"""What requests and answers look like (marshmallow). Unknown keys are errors."""
