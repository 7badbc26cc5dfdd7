"""What spec/stomp says of stomp model. (Another author is writing this file at this moment: leave it to them.)"""
