"""What spec/stomp says of subscriptions. (Another author is writing this file at this moment: leave it to them.)"""
