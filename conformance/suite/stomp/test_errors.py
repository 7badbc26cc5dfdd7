"""What spec/stomp says of errors. (Another author is writing this file at this moment: leave it to them.)"""
