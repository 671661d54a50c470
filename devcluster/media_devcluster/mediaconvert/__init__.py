"""A development double of AWS Elemental MediaConvert: its HTTP API, played by ffmpeg on what is in an S3 server.

An unmodified boto3 client works with it by `endpoint_url`. Requests are held to botocore's own model of the service,
and to the rules the service adds; outputs have the service's names. It can be told to throttle, fail, stall, answer
late, lose an answer or lose a job (`POST /_faults`, see faults.py).

What it does not do: signatures are asked for but not verified, IAM roles are not assumed, jobs know one input from
S3, H.264 with AAC in HLS and MP4, and frame captures. Whatever else a job asks for is refused with a sentence that
names it: nothing is left out in silence. It says nothing of the picture quality, the speed or the price of the real
service.
"""
